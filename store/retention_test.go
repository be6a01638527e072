package store

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"ai-gateway/gateway"
)

// started is a row of a request that started at a time.
func started(at time.Time) *gateway.Row {
	r := row()
	r.StartedAt = at.UTC().Truncate(time.Microsecond)
	return r
}

func TestWhatIsOldIsRemoved(t *testing.T) {
	onEach(t, func(t *testing.T, s *testStore) {
		now := time.Now()
		for _, days := range []int{60, 40, 35} { // as if it had been maintained then
			do(t, s.Maintain(t.Context(), now.AddDate(0, 0, -days), gateway.Retention{}))
		}
		for _, age := range []time.Duration{50 * 24 * time.Hour, 33 * 24 * time.Hour, 3 * 24 * time.Hour, 2 * time.Hour, time.Minute} {
			write(t, s, started(now.Add(-age)))
		}
		do(t, s.Maintain(t.Context(), now, gateway.Retention{}))
		if requests, prompts := s.count(t, "requests"), s.count(t, "prompts"); requests != 5 || prompts != 5 {
			t.Fatalf("where nothing is to be removed, %d requests and %d prompts are left", requests, prompts)
		}
		do(t, s.Maintain(t.Context(), now, gateway.Retention{Prompts: time.Hour}))
		if requests, prompts := s.count(t, "requests"), s.count(t, "prompts"); requests != 5 || prompts != 1 {
			t.Errorf("of prompts kept for an hour %d are left, and %d requests", prompts, requests)
		}
		do(t, s.Maintain(t.Context(), now, gateway.Retention{Requests: 30 * 24 * time.Hour}))
		if requests, attempts := s.count(t, "requests"), s.count(t, "attempts"); requests != 3 || attempts != 6 {
			t.Errorf("of requests kept for 30 days %d are left, and %d attempts", requests, attempts)
		}
	})
}

func TestMoreOldRowsThanAreRemovedAtOnceAreRemoved(t *testing.T) {
	onEach(t, func(t *testing.T, s *testStore) {
		at := time.Now().Add(-30 * time.Hour)
		rows := make([]*gateway.Row, 2*removeAtOnce+1)
		for n := range rows {
			rows[n] = started(at.Add(time.Duration(n) * time.Microsecond))
		}
		write(t, s, append(rows, row())...)
		do(t, s.Maintain(t.Context(), time.Now(), gateway.Retention{Prompts: time.Hour}))
		if n := s.count(t, "prompts"); n != 1 {
			t.Errorf("%d prompts are left", n)
		}
	})
}

// partitions are the tables that a table consists of.
func (s *testStore) partitions(t *testing.T, table string) []string {
	t.Helper()
	names, err := partitionsOf(t.Context(), s.Store, table)
	do(t, err)
	return names
}

func TestDaysAreMadeAheadAndOldOnesDropped(t *testing.T) {
	s := newPostgresStore(t)
	past, now := time.Date(2026, 1, 10, 23, 59, 0, 0, time.UTC), time.Date(2026, 3, 1, 0, 1, 0, 0, time.UTC)
	do(t, s.Maintain(t.Context(), past, gateway.Retention{}))
	for _, table := range partitioned() {
		names := strings.Join(s.partitions(t, table), " ")
		for _, day := range []string{"20260109", "20260110", "20260117"} {
			if !strings.Contains(names, table+"_p"+day) {
				t.Errorf("%s has no partition for %s: %s", table, day, names)
			}
		}
	}
	write(t, s, started(past), started(now))
	do(t, s.Maintain(t.Context(), now, gateway.Retention{Requests: 40 * 24 * time.Hour})) // so from 20 January on
	for _, table := range []string{"requests", "attempts"} {
		names := strings.Join(s.partitions(t, table), " ")
		if strings.Contains(names, "202601") || !strings.Contains(names, table+"_p20260308") || !strings.Contains(names, table+"_default") {
			t.Errorf("%s has %s", table, names)
		}
	}
	if n := s.count(t, "requests"); n != 1 {
		t.Errorf("%d requests are left", n)
	}
	if names := strings.Join(s.partitions(t, "prompts"), " "); !strings.Contains(names, "prompts_p20260110") {
		t.Errorf("prompts are dropped with requests: %s", names)
	}
}

func TestRowsOfADayWithoutAPartitionAreMovedIntoItsOwn(t *testing.T) {
	s := newPostgresStore(t)
	day := time.Date(2030, 6, 1, 12, 0, 0, 0, time.UTC)
	write(t, s, started(day), started(day.AddDate(0, 0, 1)), started(day.AddDate(1, 0, 0)))
	if n := s.count(t, "requests_default"); n != 3 {
		t.Fatalf("%d rows are in the default partition", n)
	}
	do(t, s.Maintain(t.Context(), day, gateway.Retention{}))
	if rest, all, prompts := s.count(t, "requests_default"), s.count(t, "requests"), s.count(t, "prompts_p20300601"); rest != 1 || all != 3 || prompts != 1 {
		t.Errorf("%d rows are left in the default partition, %d in all; %d prompts are moved", rest, all, prompts)
	}
	write(t, s, started(day)) // in its own now
	if n := s.count(t, "requests_p20300601"); n != 2 {
		t.Errorf("%d rows are in the day's partition", n)
	}
}

func TestAReaderWhoTakesLongHoldsUpDroppingAndNotWriting(t *testing.T) {
	s := newPostgresStore(t)
	past, now := time.Date(2026, 1, 10, 0, 0, 0, 0, time.UTC), time.Now()
	do(t, s.Maintain(t.Context(), past, gateway.Retention{}))
	reader, err := s.db.Beginx()
	do(t, err)
	_, err = reader.Exec(`SELECT COUNT(*) FROM requests`) // holds its locks to the end of the transaction
	do(t, err)
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	var done sync.WaitGroup
	done.Go(func() {
		if err := s.Maintain(ctx, now, gateway.Retention{Requests: 24 * time.Hour}); err == nil || !strings.Contains(err.Error(), "lock timeout") {
			t.Errorf("dropping what is read: %v", err)
		}
	})
	for n := range 20 {
		writeWithin(t, s, 2*lockWithin, fmt.Sprint("row ", n))
	}
	done.Wait()
	do(t, reader.Rollback())
	do(t, s.Maintain(t.Context(), now, gateway.Retention{Requests: 24 * time.Hour}))
	if names := strings.Join(s.partitions(t, "requests"), " "); strings.Contains(names, "202601") {
		t.Errorf("the old days are still there: %s", names)
	}
}

func writeWithin(t *testing.T, s *testStore, within time.Duration, what string) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), within)
	defer stop()
	if _, err := s.Write(ctx, []*gateway.Row{row()}, writer, gateway.LogPosition{}); err != nil {
		t.Errorf("%s is not written: %v", what, err)
	}
}

func TestManyGatewaysMaintainAtOnce(t *testing.T) {
	s := newPostgresStore(t)
	at := time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)
	do(t, s.Maintain(t.Context(), at.AddDate(0, 0, -60), gateway.Retention{}))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := s.Maintain(t.Context(), at, gateway.Retention{Requests: time.Hour}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	do(t, s.Maintain(t.Context(), at, gateway.Retention{Requests: time.Hour})) // the first may have left some to others
	if n := len(s.partitions(t, "requests")); n != 1+daysAhead+2 {
		t.Errorf("there are %d partitions: %v", n, s.partitions(t, "requests"))
	}
}
