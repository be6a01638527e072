package ledger

import "strings"

// task is something that the ledger does, and that may fail while all else goes well.
type task int

const (
	reading task = iota
	writing
	tidying
	rotating
	maintaining
	tasks
)

// String says what does not go well.
func (t task) String() string {
	return [tasks]string{
		"usage cannot be read; it is kept and tried again",
		"usage cannot be written; it is kept and tried again",
		"the write-ahead log cannot be tidied; it grows, and that is tried again",
		"the access log cannot be rotated; it grows, and that is tried again",
		"the store cannot be maintained (old rows removed, partitions made); that is tried again",
	}[t]
}

// went notes how a task went. What goes on as before is not logged again.
func (l *Ledger) went(t task, err error) {
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
		l.c.Log.Info("over: " + t.String())
	}
}

// lastError is what does not go well now, each with its reason.
func (l *Ledger) lastError() string {
	var all []string
	for t, reason := range l.troubles {
		if reason != "" {
			all = append(all, task(t).String()+": "+reason)
		}
	}
	return strings.Join(all, "; ")
}
