package envoy

import "testing"

func TestClientsAreAsManyAsFilesAllow(t *testing.T) {
	for _, c := range []struct {
		files   uint64
		workers int
		want    int
	}{{0, 1, 0}, {72, 1, 0}, {74, 1, 1}, {1024, 2, 472}, {1024, 200, 0}, {1 << 30, 4, maxConnections}, {^uint64(0), 4, maxConnections}} {
		if got := Connections(c.files, c.workers); got != c.want {
			t.Errorf("with %d files and %d workers %d clients, want %d", c.files, c.workers, got, c.want)
		}
	}
}
