package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ai-gateway/auth"
	"ai-gateway/config"
	dashboardapi "ai-gateway/dashboard-api"
	"ai-gateway/gateway"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// cells returns, for each row of a document's tables that begins with a cell in
// backquotes, what its first cells hold in backquotes, "" for nothing.
func cells(document string, columns int) [][]string {
	var rows [][]string
	for line := range strings.Lines(document) {
		parts := strings.Split(strings.Trim(line, "|\n"), "|")
		if !strings.HasPrefix(line, "| `") || len(parts) < columns {
			continue
		}
		row := make([]string, columns)
		for i := range columns {
			row[i] = strings.Trim(parts[i], " `")
		}
		rows = append(rows, row)
	}
	return rows
}

func TestTheOpenAPIDocumentIsTheOneThatIsServed(t *testing.T) {
	want, err := dashboardapi.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), read(t, "docs/openapi.json")); diff != "" {
		t.Errorf("run `make docs`: %s", diff)
	}
}

// drafts is a store of keys that keeps none.
type drafts struct{ auth.KeyStore }

func (drafts) AddKey(_ context.Context, _ gateway.Actor, draft func(bool) (gateway.KeyRecord, error)) (gateway.KeyRecord, error) {
	return draft(false)
}

func TestTheFieldsOfAKeyThatAreDescribedAreThoseThatAreTaken(t *testing.T) {
	var document struct {
		Components struct {
			Schemas map[string]struct{ Properties map[string]any }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "docs/openapi.json")), &document); err != nil {
		t.Fatal(err)
	}
	keys := auth.Keys{Store: drafts{}, Given: func() bool { return true }, Now: time.Now}
	_, err := keys.Create(t.Context(), gateway.Actor{}, []byte(`{"nonsense": 1}`))
	_, taken, _ := strings.Cut(fmt.Sprint(err), "The fields are ")
	want := strings.Split(strings.TrimSuffix(taken, "."), ", ")
	slices.Sort(want)
	for _, body := range []string{"NewKey", "KeyChange"} {
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(document.Components.Schemas[body].Properties))); diff != "" {
			t.Errorf("fields that are taken (-) and described by %s (+):\n%s", body, diff)
		}
	}
}

func TestTheTableOfVariablesIsWhatIsRead(t *testing.T) {
	asked, described := map[string]bool{}, map[string]string{}
	unset, err := config.Load("", func(name string) string { asked[name] = true; return "" })
	if err != nil {
		t.Fatal(err)
	}
	asked[config.FileVariable] = true // by the commands
	_, table, _ := strings.Cut(read(t, "docs/configuration.md"), "\n<!-- variables: ")
	table, _, _ = strings.Cut(table, "\n<!-- end of variables")
	for _, row := range cells(table, 2) {
		described[row[0]] = row[1]
		if !asked[row[0]] {
			t.Errorf("%s is described and not read", row[0])
		}
	}
	for name := range asked {
		if _, ok := described[name]; !ok {
			t.Errorf("%s is read and not described", name)
		}
	}
	defaults, err := config.Load("", func(name string) string { return described[name] })
	if err != nil {
		t.Fatal(err)
	}
	defaults.Demo = unset.Demo // which depends on what is set at all
	if diff := cmp.Diff(unset, defaults); diff != "" {
		t.Errorf("nothing set (-) and the described defaults (+) differ:\n%s", diff)
	}
}

func TestTheReadmesCommandsExist(t *testing.T) {
	readme, makefile := read(t, "README.md"), read(t, "Makefile")
	cfg, err := config.Load("", func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(readme, "\n"+curl(cfg)+"\n") {
		t.Errorf("the README has not the line that is printed to be pasted: %s", curl(cfg))
	}
	for _, target := range regexp.MustCompile("(?m)(?:^|`)make ([a-z-]+)").FindAllStringSubmatch(readme+read(t, "CONTRIBUTING.md"), -1) {
		if !strings.Contains(makefile, "\n"+target[1]+":") {
			t.Errorf("make %s is no target", target[1])
		}
	}
	for _, command := range regexp.MustCompile("`bin/ai-gateway ([a-z]+)").FindAllStringSubmatch(readme, -1) {
		if err := run(t.Context(), []string{command[1], "--help"}, os.Getenv, io.Discard, io.Discard); err != nil {
			t.Errorf("ai-gateway %s: %v", command[1], err)
		}
	}
}

func TestTheTableOfCommandsHasEveryCommand(t *testing.T) {
	described := map[string]bool{}
	for _, row := range cells(read(t, "docs/commands.md"), 2) {
		described[strings.Fields(row[0])[1]] = true
	}
	var help bytes.Buffer
	if err := run(t.Context(), []string{"--help"}, os.Getenv, &help, io.Discard); err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(help.String(), "Available Commands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	exist := map[string]bool{}
	for line := range strings.Lines(list) {
		if name := strings.Fields(line)[0]; name != "help" {
			exist[name] = true
		}
	}
	if diff := cmp.Diff(exist, described); diff != "" {
		t.Errorf("commands that exist (-) and that docs/commands.md describes (+):\n%s", diff)
	}
}

func TestTheTableOfRoomsIsTheOneThatIsHeld(t *testing.T) {
	described := map[string]string{}
	_, table, _ := strings.Cut(read(t, "docs/architecture.md"), "\n## Rooms\n")
	for _, row := range cells(table, 3) {
		described[row[0]] = strings.ReplaceAll(row[2], "`", "")
	}
	held := map[string]string{}
	for room, imports := range rooms {
		held[room] = strings.Join(imports, ", ")
	}
	for _, room := range mayImportAll {
		held[room] = "all"
	}
	if diff := cmp.Diff(held, described); diff != "" {
		t.Errorf("rooms of the table that is held (-) and of the documentation (+):\n%s", diff)
	}
}

func TestWhatTheArchitectureSaysIsSomewhereIsThere(t *testing.T) {
	_, table, _ := strings.Cut(read(t, "docs/architecture.md"), "\n## Where is what\n")
	table, _, _ = strings.Cut(table, "\n## ")
	places := regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(table, -1)
	if len(places) < 10 {
		t.Errorf("only %d places are named", len(places))
	}
	for _, place := range places {
		if _, err := os.Stat(filepath.Join(root, place[1])); err != nil {
			t.Errorf("%s is not there: %v", place[1], err)
		}
	}
}

func TestEveryDependencyHasItsReason(t *testing.T) {
	rationale := read(t, "RATIONALE.md")
	for _, name := range dependencies(t) {
		if !strings.Contains(rationale, "`"+name+"`") {
			t.Errorf("RATIONALE.md gives no reason for %s", name)
		}
	}
}

// dependencies returns the names of the direct ones: Go modules, npm packages, and the tools that the Makefile pins.
func dependencies(t *testing.T) []string {
	t.Helper()
	var names []string
	for line := range strings.Lines(read(t, "go.mod")) {
		if words := strings.Fields(line); len(words) == 2 && strings.HasPrefix(words[1], "v") { // an indirect one has a comment
			names = append(names, strings.Replace(words[0], "github.com/envoyproxy/go-control-plane/", "…/", 1))
		}
	}
	for _, path := range []string{"dashboard/package.json", "test/sdktest/node/package.json"} {
		var p struct{ Dependencies, DevDependencies map[string]string }
		if err := json.Unmarshal([]byte(read(t, path)), &p); err != nil {
			t.Fatal(err)
		}
		names = slices.AppendSeq(slices.AppendSeq(names, maps.Keys(p.Dependencies)), maps.Keys(p.DevDependencies))
	}
	for _, tool := range regexp.MustCompile(`(?m)^[A-Z_]+ +:= (?:\S*/)?([a-z-]+)(?:@v|==)`).FindAllStringSubmatch(read(t, "Makefile"), -1) {
		names = append(names, tool[1])
	}
	return names
}

func TestLinksBetweenDocumentsLead(t *testing.T) {
	documents, err := filepath.Glob(filepath.Join(root, "docs/*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "RATIONALE.md"} {
		documents = append(documents, filepath.Join(root, name))
	}
	for _, path := range documents {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range regexp.MustCompile(`\]\(([a-zA-Z./-]+)[)#]`).FindAllStringSubmatch(string(b), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), link[1])); err != nil {
				t.Errorf("%s: %v", filepath.Base(path), err)
			}
		}
	}
}

func TestTheFilesThatContributorsAreSentToAreThere(t *testing.T) {
	for _, name := range regexp.MustCompile("`([a-z/-]+(?:/[a-z]+\\.go|/testdata/[a-z]+|/migrations))`").FindAllStringSubmatch(read(t, "CONTRIBUTING.md"), -1) {
		if _, err := os.Stat(filepath.Join(root, name[1])); err != nil {
			t.Error(err)
		}
	}
}
