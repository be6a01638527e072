package wal

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"ai-gateway/gateway"
)

// settlements reads the log from its beginning and returns its settlements.
func settlements(t *testing.T, l *Log) (all []*gateway.Settlement) {
	t.Helper()
	reader := l.NewReader()
	for {
		records, _, err := reader.Next()
		do(t, err)
		if records == nil {
			return all
		}
		for _, r := range records {
			if r.Kind == SettlementRecord {
				s, err := r.Settlement()
				do(t, err)
				all = append(all, s)
			}
		}
	}
}

func TestASettlementThatIsTooLongLosesItsTextsAndKeepsItsFigures(t *testing.T) {
	l := openLog(t, t.TempDir())
	i := intent()
	begin(t, l, i)
	want := settlement(i)
	long := want
	long.Prompt, long.Answer.Text = strings.Repeat("p", maxRecord/2), strings.Repeat("a", maxRecord/2)
	want.Prompt, want.Answer.Text = "", ""
	l.AppendSettlement(&long)
	if diff := cmp.Diff([]*gateway.Settlement{&want}, settlements(t, l)); diff != "" {
		t.Errorf("(- expected, + read):\n%s", diff)
	}
	if lost, unsettled := l.Stats().Lost, l.Unsettled(); lost != 0 || len(unsettled) != 0 {
		t.Errorf("%d are lost, unsettled are %v", lost, unsettled)
	}
}

func TestTheLongestIntentIsRecordedAndALongerOneRefused(t *testing.T) {
	l := openLog(t, t.TempDir())
	i := intent()
	i.RequestID = ""
	rest := len(appendIntent(nil, &i))
	i.RequestID = strings.Repeat("x", maxRecord-1-rest-5) // kind, tag and length
	if size := len(appendIntent(nil, &i)) + 1; size != maxRecord {
		t.Fatalf("the record has %d bytes, want %d", size, maxRecord)
	}
	begin(t, l, i)
	i.RequestID += "x"
	if err := l.AppendIntent(&i); !errors.Is(err, errLong) {
		t.Errorf("a longer one is taken: %v", err)
	}
	begin(t, l, intent())
	if got := kinds(t, l); got != "PII" {
		t.Errorf("kinds %s", got)
	}
}

func TestSegmentsAreFilledAndNotExceeded(t *testing.T) {
	l := openLog(t, t.TempDir())
	large := intent()
	large.RequestID = strings.Repeat("x", 1<<20)
	record := int64(len(appendIntent(nil, &large)) + frameHead + 1)
	for range 3 * segmentSize / record {
		begin(t, l, large)
	}
	total := int64(0)
	for n, s := range l.segments {
		total += s.size
		if s.size > segmentSize || n < len(l.segments)-1 && s.size+record <= segmentSize {
			t.Errorf("segment %d of %d has %d bytes, of at most %d", n, len(l.segments), s.size, segmentSize)
		}
	}
	if got := l.Size(); got != total {
		t.Errorf("the log says it has %d bytes, its segments have %d", got, total)
	}
}

func TestAnOldSegmentIsClosedThoughItHasRoom(t *testing.T) {
	l := openLog(t, t.TempDir())
	begin(t, l, intent())
	if n := len(l.segments); n != 1 {
		t.Fatalf("%d segments", n)
	}
	l.opened = time.Now().Add(-segmentLife - time.Second)
	begin(t, l, intent())
	begin(t, l, intent())
	if n := len(l.segments); n != 2 {
		t.Errorf("%d segments, want 2: one that is old, and a new one", n)
	}
}

// TestARecordWithoutWhatARowNeedsIsRefused leaves out one thing at a time.
func TestARecordWithoutWhatARowNeedsIsRefused(t *testing.T) {
	for name, leaveOut := range map[string]func(*gateway.Intent){
		"nothing":  nil,
		"id":       func(i *gateway.Intent) { i.ID = uuid.UUID{} },
		"start":    func(i *gateway.Intent) { i.StartedAt = time.Time{} },
		"endpoint": func(i *gateway.Intent) { i.Endpoint = 0 },
		"steps":    func(i *gateway.Intent) { i.Steps = nil },
	} {
		i := intent()
		if leaveOut != nil {
			leaveOut(&i)
		}
		if _, err := readIntent(appendIntent(nil, &i)); (err == nil) != (leaveOut == nil) {
			t.Errorf("an intent without its %s: %v", name, err)
		}
	}
	s := settlement(intent())
	s.ID = uuid.UUID{}
	if _, err := readSettlement(appendSettlement(nil, &s)); err == nil {
		t.Error("a settlement without an id is read")
	}
}

// TestARecordThatEndsWithinAFieldIsRefused cuts a settlement within its last one.
func TestARecordThatEndsWithinAFieldIsRefused(t *testing.T) {
	s := settlement(intent())
	s.Answer.ErrorCode = "the last field, a text"
	whole := appendSettlement(nil, &s)
	at := strings.Index(string(whole), s.Answer.ErrorCode)
	for n := at - 1; n < at+len(s.Answer.ErrorCode); n++ {
		if _, err := readSettlement(whole[:n]); !errors.Is(err, errRecord) {
			t.Errorf("%d bytes of %d: %v", n, len(whole), err)
		}
	}
}
