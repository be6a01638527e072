package supervisor

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// exitNotStarted is the exit status if the program cannot be started, as in shells.
const exitNotStarted = 126

// RunAsInit is the work of a container's first process: it runs the program a second time,
// forwards signals to it, and waits for every orphan, because the kernel makes it their parent.
// It returns the program's exit status. The program itself cannot do this: it would also
// collect its own children, for which other code waits.
func RunAsInit(args []string) (exit int) {
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintf(os.Stderr, "finding our own binary: %v\n", err)
		return exitNotStarted
	}
	cmd := exec.Command(self)
	cmd.Args, cmd.Stdin, cmd.Stdout, cmd.Stderr = args, os.Stdin, os.Stdout, os.Stderr
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	if err := cmd.Start(); err != nil {
		fmt.Fprintf(os.Stderr, "starting %q: %v\n", self, err)
		return exitNotStarted
	}
	ended := make(chan int, 1)
	go func() { ended <- reapUntil(cmd.Process.Pid) }()
	for {
		select {
		case s := <-signals:
			_ = cmd.Process.Signal(s) // it may have ended since
		case exit = <-ended:
			return exit
		}
	}
}

// reapUntil waits for all children, its own and those that it inherits, until one has ended.
func reapUntil(pid int) (exit int) {
	for {
		var status syscall.WaitStatus
		ended, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR) || err == nil && ended != pid:
		case err != nil:
			return exitNotStarted
		case status.Signaled():
			return 128 + int(status.Signal())
		default:
			return status.ExitStatus()
		}
	}
}
