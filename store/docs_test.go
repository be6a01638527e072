package store

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ai-gateway/gateway"
)

func usageDoc(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../docs/usage.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTheDescribedColumnsAreThoseOfTheTable(t *testing.T) {
	s := newSQLiteStore(t)
	var columns, described []string
	if err := s.db.SelectContext(t.Context(), &columns, `SELECT name FROM pragma_table_info('requests')`); err != nil {
		t.Fatal(err)
	}
	for _, cell := range regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\|").FindAllStringSubmatch(usageDoc(t), -1) {
		described = append(described, cell[1])
	}
	if !slices.Equal(described, columns) {
		t.Errorf("described are %v, there are %v", described, columns)
	}
}

func TestTheQuestionsOfTheDocumentationAreAnswered(t *testing.T) {
	questions := regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(usageDoc(t), -1)
	if len(questions) == 0 {
		t.Fatal("there are none")
	}
	onEach(t, func(t *testing.T, s *testStore) {
		refused := row()
		refused.Status, refused.Outcome, refused.ErrorCode = 500, gateway.ProviderError, "overloaded"
		write(t, s, row(), refused)
		for _, question := range questions {
			rows, err := s.db.QueryxContext(t.Context(), question[1])
			if err != nil {
				t.Errorf("%s: %v", question[1], err)
				continue
			}
			if !rows.Next() {
				t.Errorf("no answer to %s: %v", strings.TrimSpace(question[1]), rows.Err())
			}
			rows.Close()
		}
	})
}
