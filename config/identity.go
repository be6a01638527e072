package config

import (
	"io/fs"
	"syscall"
)

// identity distinguishes files of the same size and time.
type identity struct{ device, inode uint64 }

func identityOf(info fs.FileInfo) identity {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return identity{uint64(s.Dev), s.Ino} //nolint:unconvert // another type on other systems
	}
	return identity{}
}
