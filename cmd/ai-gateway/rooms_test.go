package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	root   = "../.."
	module = "ai-gateway/"
)

// rooms are the folders that hold Go, as docs/architecture.md describes them, each with the
// rooms that it may import. All may import gateway.
var rooms = map[string][]string{
	"auth": nil, "bench": {"test"}, "budgets": nil, "config": nil, "explain": {"budgets"}, "control": {"config", "pricing", "xds"}, "dashboard-api": nil, "demo": nil, "deploy": nil, "envoy": nil, "extproc": nil,
	"gateway": nil, "invoice": nil, "pricing": nil, "provider": nil, "ratelimit-config": nil, "responses": nil, "store": nil, "supervisor": nil, "telemetry": nil,
	"usage/accesslog": nil, "usage/wal": nil, "xds": nil,
	"usage/ledger": {"usage/accesslog", "usage/wal"},
}

// testsMayImport are the rooms that tests of others may import as well: real parts before fakes.
var testsMayImport = map[string][]string{"budgets": {"store"}, "ratelimit-config": {"test", "xds"}, "usage/ledger": {"store"}}

// mayImportAll are the rooms that wire the others, and that test them together.
var mayImportAll = []string{"cmd", "test"}

// TestRoomsMeetInTheVocabularyAlone holds the layout true: a room imports no other
// one but gateway and what the table allows it; cmd wires them, and test tests them together.
func TestRoomsMeetInTheVocabularyAlone(t *testing.T) {
	seen := map[string]bool{}
	for path, imports := range importsOfAll(t) {
		room := roomOf(path)
		seen[room] = true
		allowed := append([]string{room, "gateway"}, rooms[room]...)
		if strings.HasSuffix(path, "_test.go") {
			allowed = append(allowed, testsMayImport[room]...)
		}
		for _, other := range imports {
			if !slices.Contains(mayImportAll, room) && !slices.Contains(allowed, other) {
				t.Errorf("%s imports room %q", path, other)
			}
		}
	}
	maps.DeleteFunc(seen, func(room string, _ bool) bool { return slices.Contains(mayImportAll, room) })
	if diff := cmp.Diff(slices.Sorted(maps.Keys(rooms)), slices.Sorted(maps.Keys(seen))); diff != "" {
		t.Errorf("rooms of the table (-) and of the tree (+):\n%s", diff)
	}
}

// roomOf is the room of a file or of a package: a folder at the top, or one below usage.
func roomOf(path string) string {
	room, below, _ := strings.Cut(path, "/")
	if room == "usage" {
		name, _, _ := strings.Cut(below, "/")
		return room + "/" + name
	}
	return room
}

// importsOfAll returns the rooms that each Go file imports, by the file's path.
func importsOfAll(t *testing.T) map[string][]string {
	t.Helper()
	files := map[string][]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (strings.HasPrefix(entry.Name(), ".") && path != root || entry.Name() == "node_modules"):
			return filepath.SkipDir
		case !entry.IsDir() && strings.HasSuffix(path, ".go"):
			relative, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			files[filepath.ToSlash(relative)], err = importsOf(path)
			return err
		}
		return nil
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("reading the imports of %d files: %v", len(files), err)
	}
	return files
}

// importsOf returns the rooms that a file imports.
func importsOf(path string) ([]string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	var imports []string
	for _, spec := range file.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		if below, ours := strings.CutPrefix(name, module); ours {
			imports = append(imports, roomOf(below))
		}
	}
	return imports, nil
}
