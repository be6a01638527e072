package ledger

import (
	"time"

	"ai-gateway/usage/wal"
)

// closing counts what keeps a segment of the write-ahead log.
type closing struct {
	records int // that belong to entries which are not done
	since   time.Time
}

// hold keeps a segment of the write-ahead log until an entry is done.
func (l *Ledger) hold(e *entry, segment int64) {
	e.segments = append(e.segments, segment)
	l.segments[segment].records++
}

func (l *Ledger) release(e *entry) {
	for _, segment := range e.segments {
		l.segments[segment].records--
	}
	e.segments = nil
}

// tidy removes the segments of the write-ahead log that are not needed.
func (l *Ledger) tidy(now time.Time) {
	var first error
	for number, segment := range l.segments {
		if number >= l.reader.Segment() {
			continue // it is being read
		}
		if err := l.tidySegment(number, segment, now); first == nil {
			first = err
		}
	}
	l.reportTask(tidying, first)
}

// tidySegment removes a segment, or carries over the records for which an old one is needed.
func (l *Ledger) tidySegment(number int64, segment *closing, now time.Time) error {
	switch {
	case segment.records == 0:
		if err := l.c.WAL.Remove(number); err != nil {
			return err
		}
		delete(l.segments, number)
	case now.Sub(segment.since) > keepAfter:
		if err := l.carry(number); err != nil {
			return err
		}
		segment.since = now
	}
	return nil
}

// carry writes the records that keep a segment again. Settled requests whose row is not
// written will be done soon.
func (l *Ledger) carry(segment int64) error {
	for _, e := range l.open {
		if e.settlement != nil && e.state != isWritten || len(e.segments) == 0 || e.segments[0] != segment {
			continue
		}
		if err := l.c.WAL.Carry(wal.Unfinished{Intent: e.intent, Settlement: e.settlement, Orphan: e.orphan}); err != nil {
			return err
		}
		l.release(e) // it is held again when its new records are read
	}
	return nil
}
