//go:build !linux

package storetest

import (
	"errors"
	"syscall"
)

func dieWithUs(*syscall.SysProcAttr) {}

func childrenOf(int) ([]int, error) {
	return nil, errors.New("the processes of a server are known on Linux only")
}
