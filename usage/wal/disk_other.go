//go:build !linux

package wal

import "os"

// reserve does nothing: only Linux can allocate space without changing a file's length.
func reserve(*os.File, int64) error { return nil }

// flush makes a file's content survive a power cut.
func flush(f *os.File) error { return f.Sync() }
