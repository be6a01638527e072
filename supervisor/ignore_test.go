package supervisor

import (
	"os/signal"
	"syscall"
)

func ignoreTERM() { signal.Ignore(syscall.SIGTERM) }
