package envoy

import (
	"os/exec"
	"strconv"
	"time"
)

// Command is how an Envoy is started.
type Command struct {
	Bootstrap string        // path of its bootstrap configuration
	Workers   int           // threads that serve connections
	LogFlush  time.Duration // how long a finished request may be missing from the access log's file
}

// With is the command of a binary. Envoy gets no environment: it needs nothing of it, least
// of all our keys.
func (c Command) With(binary Binary) *exec.Cmd {
	cmd := exec.Command(binary.Path, "--config-path", c.Bootstrap, "--disable-hot-restart", "--log-level", "warning",
		"--concurrency", strconv.Itoa(c.Workers),
		"--drain-strategy", "immediate", // else the longest connections are closed after minutes
		"--component-log-level", "ext_proc:error", // else each stream of a dead agent is a line
		"--file-flush-interval-msec", strconv.FormatInt(c.LogFlush.Milliseconds(), 10))
	cmd.Env = []string{}
	return cmd
}
