package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// framed is a whole record of a segment.
func framed(kind Kind, payload string) string {
	return string(closeFrame(append(openFrame(nil, kind), payload...)))
}

// falseHead is what looks like the head of a record of so many bytes.
func falseHead(length uint32) string {
	b := binary.LittleEndian.AppendUint32([]byte{frameMagic}, length)
	return string(append(b, 1, 2, 3, 4))
}

// readAll reads a segment to its end.
func readAll(t *testing.T, r io.ReaderAt, size int) (payloads []string, ends []int64, damaged int) {
	t.Helper()
	var c cursor
	for range 3*size + 3 {
		records, skipped, err := c.read(r, int64(size))
		damaged += skipped
		for _, r := range records {
			payloads, ends = append(payloads, string(r.Kind)+string(r.payload)), append(ends, r.end)
		}
		if errors.Is(err, io.EOF) {
			return payloads, ends, damaged
		}
		do(t, err)
	}
	t.Fatal("the segment has no end")
	return nil, nil, 0
}

// TestAFalseBeginningBeforeAWholeRecordHidesNothing puts what looks like the beginning of
// a record before, between and behind whole ones.
func TestAFalseBeginningBeforeAWholeRecordHidesNothing(t *testing.T) {
	first, second := framed(IntentRecord, "first"), framed(SettlementRecord, "second, which is longer")
	want := []string{"Ifirst", "Ssecond, which is longer"}
	for name, junk := range map[string]string{
		"the magic":                   string([]byte{frameMagic}),
		"many of it":                  strings.Repeat(string([]byte{frameMagic}), 40),
		"no length":                   falseHead(0),
		"a length within the record":  falseHead(3),
		"that of the record":          falseHead(uint32(len(first) - frameHead)),
		"a length beyond the records": falseHead(1000),
		"the largest length":          falseHead(maxRecord),
		"one that is too large":       falseHead(maxRecord + 1),
		"a length that is negative":   falseHead(0xffff_ffff),
		"a record with a wrong sum":   first[:len(first)-1] + "X",
		"half a record":               first[:len(first)/2],
	} {
		segment := junk + first + junk + second + junk
		payloads, ends, damaged := readAll(t, strings.NewReader(segment), len(segment))
		if diff := cmp.Diff(want, payloads); diff != "" {
			t.Errorf("%s (- written, + read):\n%s", name, diff)
			continue
		}
		at := int64(len(junk) + len(first))
		if diff := cmp.Diff([]int64{at, at + int64(len(junk)+len(second))}, ends); diff != "" {
			t.Errorf("%s: where the records end (- written, + read):\n%s", name, diff)
		}
		if damaged != 3*len(junk) {
			t.Errorf("%s: %d bytes of damage are counted, want %d", name, damaged, 3*len(junk))
		}
	}
}

func TestTheLargestRecordIsReadAndALargerOneIsNone(t *testing.T) {
	for extra, want := range map[int]int{0: 2, 1: 1} {
		segment := framed(IntentRecord, strings.Repeat("x", maxRecord-1+extra)) + framed(StartRecord, "")
		if payloads, _, _ := readAll(t, strings.NewReader(segment), len(segment)); len(payloads) != want {
			t.Errorf("of a record of %d bytes and one behind it %d are read, want %d", maxRecord+extra, len(payloads), want)
		}
	}
}

func TestNothingBehindTheLimitIsRead(t *testing.T) {
	first := framed(IntentRecord, "first")
	segment := first + framed(IntentRecord, "second")
	if payloads, _, _ := readAll(t, strings.NewReader(segment), len(first)); len(payloads) != 1 {
		t.Errorf("%q is read, want the first record alone", payloads)
	}
}

func TestAReadThatFailsIsToldAndIsNoDamage(t *testing.T) {
	broken := errors.New("the disk is broken")
	var c cursor
	if records, damaged, err := c.read(readerAt{iotest.ErrReader(broken)}, 100); !errors.Is(err, broken) || damaged != 0 || len(records) != 0 {
		t.Errorf("%d records, %d bytes of damage, %v", len(records), damaged, err)
	}
}

// readerAt reads on, wherever it is asked to.
type readerAt struct{ io.Reader }

func (r readerAt) ReadAt(b []byte, _ int64) (int, error) { return r.Read(b) }

func TestASegmentsNumberIsThatOfItsName(t *testing.T) {
	got := map[string]int64{}
	for _, name := range []string{"000000000001.spool", "000000000042.spool", "12.spool", "000000000000.spool", "-00000000001.spool", "x.spool", "000000000001", "spare"} {
		got[name] = segmentNumber(name)
	}
	want := map[string]int64{"000000000001.spool": 1, "000000000042.spool": 42, "12.spool": 12, "000000000000.spool": 0, "-00000000001.spool": 0, "x.spool": 0, "000000000001": 0, "spare": 0}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := segmentPath("d", 42); !bytes.HasSuffix([]byte(got), []byte("000000000042.spool")) {
		t.Errorf("the path of segment 42 is %q", got)
	}
}
