package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	root   = "../.."
	module = "ai-gateway/"
)

// rooms are the top-level folders that hold Go, as docs/architecture.md describes them.
var rooms = []string{"auth", "bench", "cmd", "config", "dashboard-api", "demo", "envoy", "extproc", "gateway", "pricing", "provider",
	"supervisor", "usage", "xds"}

// TestRoomsMeetInTheVocabularyAlone holds the layout true: a room imports no other
// one but gateway, which imports none; cmd wires them and imports any. Tests are
// held to it as well.
func TestRoomsMeetInTheVocabularyAlone(t *testing.T) {
	seen := map[string]bool{}
	for path, imports := range importsOfAll(t) {
		room, _, _ := strings.Cut(path, "/")
		seen[room] = true
		for _, other := range imports {
			if other != room && other != "gateway" && room != "cmd" {
				t.Errorf("%s imports room %q", path, other)
			}
		}
	}
	for room := range seen {
		if !slices.Contains(rooms, room) {
			t.Errorf("room %q is not in the table", room)
		}
	}
	if len(seen) != len(rooms) {
		t.Errorf("%d rooms hold Go, %d are in the table", len(seen), len(rooms))
	}
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
			room, _, _ := strings.Cut(below, "/")
			imports = append(imports, room)
		}
	}
	return imports, nil
}
