package main

import (
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"ai-gateway/config"
)

func TestAdviceFitsWhyAPortIsRefused(t *testing.T) {
	for err, want := range map[error]string{
		syscall.EACCES:        "let this user listen",
		syscall.EADDRINUSE:    "end what listens there",
		syscall.EADDRNOTAVAIL: "address of this machine",
	} {
		if got := portAdvice(fmt.Errorf("listening: %w", err)); !strings.Contains(got, want) {
			t.Errorf("%v: %s", err, got)
		}
	}
}

func TestAdviceFitsWhyTheStateFolderIsNotMade(t *testing.T) {
	for err, want := range map[error]string{
		&fs.PathError{Op: "mkdir", Path: "/x/d.state", Err: syscall.EACCES}: `DATABASE_PATH "/x/d": making: mkdir /x/d.state: permission denied: let this user write to the folder "/x"`,
		&fs.PathError{Op: "mkdir", Path: "/x/d.state", Err: syscall.ENOENT}: `make the folder "/x" first`,
		&fs.PathError{Op: "open", Path: "/x/d.state", Err: syscall.EACCES}:  "making: open /x/d.state: permission denied",
	} {
		if got := withFolderAdvice(fmt.Errorf("making: %w", err), config.Config{DatabasePath: "/x/d"}, "/x").Error(); !strings.Contains(got, want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if withFolderAdvice(nil, config.Config{DatabasePath: "/x/d"}, "/x") != nil {
		t.Error("there is advice where nothing is wrong")
	}
}
