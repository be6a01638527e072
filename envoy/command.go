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
	LogFlush  time.Duration // how long Envoy may buffer a line of the access log
}

// Arguments are those that the gateway relies on, also of an Envoy that somebody else starts.
func (c Command) Arguments() []string {
	return []string{"--config-path", c.Bootstrap, "--disable-hot-restart", "--log-level", "warning",
		"--concurrency", strconv.Itoa(c.Workers),
		"--drain-strategy", "immediate", // otherwise the last connections are closed after minutes
		"--component-log-level", "ext_proc:error", // otherwise each stream logs a line while the agent is dead
		"--file-flush-interval-msec", strconv.FormatInt(c.LogFlush.Milliseconds(), 10)}
}

// With returns the command of a binary. Envoy gets no environment: it needs none, and must not
// have our keys.
func (c Command) With(binary Binary) *exec.Cmd {
	cmd := exec.Command(binary.Path, c.Arguments()...)
	cmd.Env = []string{}
	return cmd
}
