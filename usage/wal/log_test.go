package wal

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"ai-gateway/gateway"
)

func openLog(t testing.TB, dir string) *Log {
	t.Helper()
	l, err := Open(Config{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // a test may have closed it
	return l
}

// kinds reads the log from its beginning and returns the kinds of its records.
func kinds(t testing.TB, s *Log) string {
	t.Helper()
	reader := s.NewReader()
	var all []byte
	for {
		records, _, err := reader.Next()
		if err != nil {
			t.Fatal(err)
		}
		if records == nil {
			return string(all)
		}
		for _, r := range records {
			all = append(all, byte(r.Kind))
		}
	}
}

func begin(t testing.TB, s *Log, i gateway.Intent) {
	t.Helper()
	if err := s.AppendIntent(&i); err != nil {
		t.Fatal(err)
	}
}

func TestRecordsComeBackAsTheyWereWritten(t *testing.T) {
	full := intent()
	full.UserID, full.Team, full.Tags = "u", "t", `{"a":"b"}`
	full.Steps = append(full.Steps, gateway.Step{Backend: "b", UpstreamModel: "m"})
	full.Price = &gateway.Price{Rates: gateway.Rates{Input: 1, CachedInput: 2, CacheWrite: 3, Output: 4, Reasoning: 5, CacheWriteHour: 6}, Version: "v",
		Tiers: []gateway.Tier{{Above: 7, Rates: gateway.Rates{Output: 9}}, {Above: 8}}}
	for _, want := range []gateway.Intent{full, intent()} {
		got, err := readIntent(appendIntent(nil, &want))
		if diff := cmp.Diff(&want, got); err != nil || diff != "" {
			t.Errorf("%v, intent (-want +got):\n%s", err, diff)
		}
	}
	want := settlement(full)
	want.Answer.Usage = gateway.Usage{Prompt: 10, Cached: 2, CacheWrite: 3, Completion: 5, Reasoning: 1, CacheWriteHour: 2, ServerTools: 4}
	want.Answer.ErrorCode = "e"
	want.Answer.Stale, want.Unsent, want.EnvoyGone, want.Stopped = true, true, true, true
	got, err := readSettlement(appendSettlement(nil, &want))
	if diff := cmp.Diff(&want, got); err != nil || diff != "" {
		t.Errorf("%v, settlement (-want +got):\n%s", err, diff)
	}
}

func TestALogIsReadInTheOrderInWhichItWasWritten(t *testing.T) {
	s := openLog(t, t.TempDir())
	i := intent()
	begin(t, s, i)
	settled := settlement(i)
	s.AppendSettlement(&settled)
	begin(t, s, intent())
	if got := kinds(t, s); got != "PISI" {
		t.Errorf("kinds %s", got)
	}
}

func TestAnotherProcessGoesOnWithWhatTheFirstOneLeft(t *testing.T) {
	dir := t.TempDir()
	s := openLog(t, dir)
	begin(t, s, intent())
	if _, err := Open(s.c); err == nil || !strings.Contains(err.Error(), "another process uses the write-ahead log") {
		t.Errorf("a second process gets %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := kinds(t, openLog(t, dir)); got != "PIP" {
		t.Errorf("kinds %s", got)
	}
}

// closed is what a segment of a log holds when that is closed.
func closed(t *testing.T, s *Log, path string) []byte {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestATornEndCostsNoOtherRecord cuts the log at every byte, and puts junk at its end.
func TestATornEndCostsNoOtherRecord(t *testing.T) {
	dir := t.TempDir()
	s := openLog(t, dir)
	begin(t, s, intent())
	whole := s.segments[0].size
	begin(t, s, intent())
	path := segmentPath(dir, 1)
	data := closed(t, s, path)
	for cut := whole; cut < int64(len(data)); cut += 7 {
		for _, junk := range []string{"", "\xa7", "\xa7\xff\x00\x00\x00", strings.Repeat("\x00", 5000), strings.Repeat("\xa7\x09\x00\x00\x00abcd", 50)} {
			if err := os.WriteFile(path, append(bytes.Clone(data[:cut]), junk...), 0o600); err != nil {
				t.Fatal(err)
			}
			again := openLog(t, dir)
			if got := kinds(t, again); got != "PIP" {
				t.Fatalf("cut at %d of %d, %q behind: kinds %s", cut, len(data), junk, got)
			}
			if cut > whole && again.Stats().Repaired == 0 {
				t.Errorf("cut at %d: nothing was repaired", cut)
			}
			last := segmentPath(dir, again.segments[len(again.segments)-1].number)
			if err := errors.Join(again.Close(), os.Remove(last)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestDamageInTheMiddleCostsOnlyWhatItHit(t *testing.T) {
	dir := t.TempDir()
	s := openLog(t, dir)
	begin(t, s, intent())
	from := s.segments[0].size
	begin(t, s, intent())
	to := s.segments[0].size
	begin(t, s, intent())
	path := segmentPath(dir, 1)
	data := closed(t, s, path)
	for i := from; i < to; i++ {
		damaged := bytes.Clone(data)
		damaged[i] ^= 0xff
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		again := openLog(t, dir)
		if got := kinds(t, again); got != "PIIP" {
			t.Fatalf("byte %d damaged: kinds %s", i, got)
		}
		if again.Stats().Repaired == 0 {
			t.Errorf("byte %d: no damage was counted", i)
		}
		last := segmentPath(dir, again.segments[len(again.segments)-1].number)
		if err := errors.Join(again.Close(), os.Remove(last)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestALogThatCannotTakeRoomSaysWhy(t *testing.T) {
	s := openLog(t, t.TempDir())
	do(t, errors.Join(s.spare.Close(), os.Remove(s.spare.Name()), os.Mkdir(s.spare.Name(), 0o700)))
	s.spare = nil
	i := intent()
	if err := s.AppendIntent(&i); err == nil || !strings.Contains(err.Error(), "is a directory") || strings.Contains(err.Error(), "disk is full") {
		t.Errorf("a request is refused with %v", err)
	}
	do(t, os.Remove(filepath.Join(s.c.Dir, spareName)))
	begin(t, s, i)
}

func TestSegmentsAreClosedAndRemoved(t *testing.T) {
	dir := t.TempDir()
	s := openLog(t, dir)
	large := intent()
	large.RequestID = strings.Repeat("x", 1<<20)
	for range 20 {
		begin(t, s, large)
	}
	if len(s.segments) < 3 || kinds(t, s) != "P"+strings.Repeat("I", 20) {
		t.Fatalf("%d segments, kinds %s", len(s.segments), kinds(t, s))
	}
	before := s.Stats().Bytes
	for _, segment := range append([]*segment(nil), s.segments...) {
		if err := s.Remove(segment.number); err != nil {
			t.Fatal(err)
		}
	}
	if stats := s.Stats(); stats.Segments != 1 || stats.Bytes >= before || stats.Bytes != s.segments[0].size {
		t.Errorf("stats %+v", stats)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"+segmentName))
	if err != nil || len(files) != 1 {
		t.Errorf("files %v, %v", files, err)
	}
}

func TestManyWritersAndAReaderAtOnce(t *testing.T) {
	s := openLog(t, t.TempDir())
	const writers, each = 8, 500
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for range each {
				i := intent()
				if err := s.AppendIntent(&i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	ids := map[uuid.UUID]bool{}
	reader := s.NewReader()
	for deadline := time.Now().Add(10 * time.Second); len(ids) < writers*each && time.Now().Before(deadline); {
		records, _, err := reader.Next()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			if r.Kind != IntentRecord {
				continue
			}
			i, err := readIntent(r.payload)
			if err != nil {
				t.Fatal(err)
			}
			ids[i.ID] = true
		}
	}
	all.Wait()
	if len(ids) != writers*each {
		t.Errorf("%d of %d intents were read", len(ids), writers*each)
	}
}

func FuzzNoBytesOfASegmentPanicOrHang(f *testing.F) {
	i := intent()
	frame := closeFrame(appendIntent(openFrame(nil, IntentRecord), &i))
	f.Add(frame, 3)
	f.Add(append(frame, frame...), len(frame))
	f.Fuzz(func(t *testing.T, data []byte, at int) {
		good := closeFrame(openFrame(nil, StartRecord))
		at = max(0, min(at, len(data)))
		whole := append(append(append([]byte{}, data[:at]...), good...), data[at:]...)
		var c cursor
		found, end := false, int64(0)
		for {
			records, _, err := c.read(bytes.NewReader(whole), int64(len(whole)))
			for _, r := range records {
				found = found || r.Kind == StartRecord && r.end == int64(at+len(good))
				if r.end <= end {
					t.Fatal("a record ends before the one before it")
				}
				end = r.end
				_, _ = readIntent(r.payload)
				_, _ = readSettlement(r.payload)
			}
			if err != nil {
				break
			}
		}
		// Bytes before it may, by chance, be a record that covers it.
		if !found && frameSize(whole) <= 0 && !bytes.Contains(data[:at], []byte{frameMagic}) {
			t.Errorf("a whole record was not found in %q", whole)
		}
	})
}

func BenchmarkBegin(b *testing.B) {
	s := openLog(b, b.TempDir())
	i := intent()
	b.ReportAllocs()
	for b.Loop() {
		if err := s.AppendIntent(&i); err != nil {
			b.Fatal(err)
		}
	}
}

func TestALogKeepsItsIdentity(t *testing.T) {
	dir := t.TempDir()
	first := openLog(t, dir)
	do(t, first.Close())
	again := openLog(t, dir)
	do(t, again.Close())
	if other := openLog(t, t.TempDir()); first.ID() != again.ID() || other.ID() == first.ID() {
		t.Errorf("identities %s, then %s; that of another log %s", first.ID(), again.ID(), other.ID())
	}
	do(t, os.WriteFile(filepath.Join(dir, identityName), []byte("torn"), 0o600))
	if made := openLog(t, dir); made.ID() == first.ID() || made.ID() == (uuid.UUID{}) {
		t.Errorf("in the place of a torn identity it has %s", made.ID())
	}
}
