package ledger

import "strings"

// task is a job of the ledger that may fail while the others succeed.
type task int

const (
	reading task = iota
	writing
	tidying
	rotating
	maintaining
	admitting
	tasks
)

// String describes a failure of the task.
func (t task) String() string {
	return [tasks]string{
		"usage cannot be read; it is kept and tried again",
		"usage cannot be written; it is kept and tried again",
		"the write-ahead log cannot be compacted; it grows until a retry succeeds",
		"the access log cannot be rotated; it grows until a retry succeeds",
		"the store cannot be maintained (old rows removed, partitions made); it is tried again",
		"new requests are refused, as they cannot be recorded",
	}[t]
}

// name is what the task does.
func (t task) name() string {
	return [tasks]string{"reading usage", "writing usage", "compaction of the write-ahead log", "rotation of the access log", "maintenance of the store", "recording of new requests"}[t]
}

// reportTask notes how a task ended. It only logs changes: the first failure, and the recovery.
func (l *Ledger) reportTask(t task, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.troubles[t]
	if l.troubles[t] = ""; err != nil {
		l.troubles[t] = err.Error()
	}
	switch {
	case err != nil && before == "":
		l.c.Log.Error(t.String(), "error", err)
	case err == nil && before != "":
		l.c.Log.Info(t.name() + " recovered")
	}
}

// lastError lists the failing tasks, each with its reason.
func (l *Ledger) lastError() string {
	var all []string
	for t, reason := range l.troubles {
		if reason != "" {
			all = append(all, task(t).String()+": "+reason)
		}
	}
	return strings.Join(all, "; ")
}
