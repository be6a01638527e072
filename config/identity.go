package config

import (
	"io/fs"
	"syscall"
)

// identity tells files apart that look the same otherwise.
type identity struct{ device, inode uint64 }

func identityOf(info fs.FileInfo) identity {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return identity{uint64(s.Dev), s.Ino} //nolint:unconvert // another type on other systems
	}
	return identity{}
}
