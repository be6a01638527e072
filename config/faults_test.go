package config

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// bad is a file of testdata/bad: what the schema thinks of it and its faults, then
// the configuration.
type bad struct {
	name    string
	refuses bool // the schema, too
	faults  []string
	content string // the whole file: places count its first lines, too
}

func readBad(t *testing.T) []bad {
	t.Helper()
	paths, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d files, %v", len(paths), err)
	}
	var all []bad
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b := bad{name: path, content: string(content)}
		for line := range strings.Lines(b.content) {
			text, ok := strings.CutPrefix(strings.TrimSpace(line), "# ")
			if !ok {
				break
			}
			b.faults = append(b.faults, text)
		}
		b.refuses = b.faults[0] == "schema: refuses it"
		if !b.refuses && b.faults[0] != "schema: cannot know" {
			t.Fatalf("%s does not begin with what the schema says", path)
		}
		b.faults = b.faults[1:]
		all = append(all, b)
	}
	return all
}

// faultsOf are an error's lines, with $DIR for the folder.
func faultsOf(err error, dir string) []string {
	if err == nil {
		return nil
	}
	return strings.Split(strings.ReplaceAll(err.Error(), dir, "$DIR"), "\n")[1:]
}

func TestEachFaultIsToldWithItsPlaceAndWhatWouldBeRight(t *testing.T) {
	dir := folder(t)
	for _, b := range readBad(t) {
		path := write(t, filepath.Join(dir, "ai-gateway.yaml"), b.content)
		_, err := Load(path, keys())
		var got []string
		for _, line := range faultsOf(err, dir) {
			got = append(got, strings.TrimPrefix(line, "$DIR/ai-gateway.yaml:"))
		}
		if diff := cmp.Diff(b.faults, got); diff != "" {
			t.Errorf("%s: expected (-) and told (+) faults differ:\n%s", b.name, diff)
		}
	}
}

var firstPlace = regexp.MustCompile(`^(\$DIR/)?[a-z.-]+\.yaml(:[0-9]+:[0-9]+)?: `)

func FuzzNoBytesBreakTheReader(f *testing.F) {
	for _, pattern := range []string{"testdata/bad/*.yaml", "../docs/*.yaml"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			f.Fatalf("%d files, %v", len(paths), err)
		}
		for _, path := range paths {
			content, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(content)
		}
	}
	dir := folder(f)
	f.Fuzz(func(t *testing.T, content []byte) {
		path := write(t, filepath.Join(dir, "ai-gateway.yaml"), string(content))
		shown, err := Show(path, keys())
		told := string(shown)
		if err != nil {
			told = err.Error()
		}
		for _, key := range []string{variableKey, fileKey, brokenKey, "BEGIN PRIVATE"} {
			if strings.Contains(told, key) && !strings.Contains(string(content), key) {
				t.Errorf("%q tells a key: %s", content, told)
			}
		}
		for _, line := range faultsOf(err, dir) {
			if !firstPlace.MatchString(line) && !strings.HasSuffix(line, " more") {
				t.Errorf("%q has a fault without a place: %q", content, line)
			}
		}
		if err == nil {
			again(t, dir, shown)
		}
	})
}

// again reads what is shown as a file: it says the same.
func again(t *testing.T, dir string, shown []byte) {
	t.Helper()
	path := filepath.Join(dir, "ai-gateway.yaml")
	first, err := Load(path, keys())
	if err != nil {
		t.Fatal(err)
	}
	second, err := Load(write(t, path, string(shown)), keys())
	if err != nil {
		t.Fatalf("%v: %s", err, shown)
	}
	first.Text, second.Text = nil, nil
	sameNames := cmp.Comparer(func(a, b Files) bool {
		return slices.Equal(slices.Sorted(maps.Keys(a)), slices.Sorted(maps.Keys(b)))
	})
	if diff := cmp.Diff(first, second, sameNames); diff != "" {
		t.Errorf("read (-) and shown (+) differ:\n%s", diff)
	}
}
