package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
)

func TestASQLiteFileHasOneGatewayAlsoThroughASymlink(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "gateway.db"), filepath.Join(dir, "link.db")
	first, err := Open(t.Context(), Config{Path: path, Exclusive: true})
	do(t, err)
	do(t, os.Symlink(path, link))
	for _, name := range []string{path, link} {
		if second, err := Open(t.Context(), Config{Path: name, Exclusive: true}); err == nil || !strings.Contains(err.Error(), "another gateway writes to it") {
			t.Errorf("a second gateway opens %s: %v, %v", name, second, err)
		}
	}
	command, err := Open(t.Context(), Config{Path: link})
	do(t, err)
	do(t, command.Close())
	do(t, first.Close())
	next, err := Open(t.Context(), Config{Path: link, Exclusive: true})
	do(t, err)
	do(t, next.Close())
}

func TestManyStoresBringOneFileUpToDateAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gateway.db")
	var group errgroup.Group
	for range 8 {
		group.Go(func() error {
			s, err := Open(t.Context(), Config{Path: path})
			if err != nil {
				return err
			}
			return s.Close()
		})
	}
	do(t, group.Wait())
}

func TestADatabaseOfPostgreSQLHasManyGateways(t *testing.T) {
	s := newPostgresStore(t)
	other, err := New(Config{URL: s.url, Exclusive: true})
	do(t, err)
	defer other.Close()
	do(t, other.Ping(t.Context()))
	write(t, s, row())
}
