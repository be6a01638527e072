package store

import (
	"testing"

	"github.com/google/uuid"

	"ai-gateway/gateway"
)

func TestEachWriterHasAPositionOfItsOwn(t *testing.T) {
	s := newStore(t)
	other := uuid.MustParse("6f1c0f1e-0000-4000-8000-000000000002")
	first, second := gateway.LogPosition{File: 21, Offset: 3_000_000_001}, gateway.LogPosition{File: 22, Offset: 7}
	do(t, s.Write(t.Context(), nil, writer, first))
	if at, err := s.Position(t.Context(), other); err != nil || at != (gateway.LogPosition{}) {
		t.Errorf("another writer begins at %+v, %v", at, err)
	}
	do(t, s.Write(t.Context(), nil, other, second))
	for id, want := range map[uuid.UUID]gateway.LogPosition{writer: first, other: second} {
		if at, err := s.Position(t.Context(), id); err != nil || at != want {
			t.Errorf("writer %s is at %+v, %v; want %+v", id, at, err, want)
		}
	}
}

func TestAWriterGoesOnWhereTheOnlyOneOfAnEarlierVersionWas(t *testing.T) {
	s := newStore(t)
	s.db.MustExec(`INSERT INTO journal_positions (name, file, byte_offset) VALUES ('journal', 5, 600)`)
	want := gateway.LogPosition{File: 5, Offset: 600}
	if at, err := s.Position(t.Context(), writer); err != nil || at != want {
		t.Errorf("it is at %+v, %v; want %+v", at, err, want)
	}
	want.Offset = 700
	do(t, s.Write(t.Context(), nil, writer, want))
	if at, err := s.Position(t.Context(), writer); err != nil || at != want {
		t.Errorf("it is at %+v, %v; want %+v", at, err, want)
	}
}

func BenchmarkWrite(b *testing.B) {
	s := newStore(b)
	rows := make([]*gateway.Row, 1000)
	for b.Loop() {
		for n := range rows {
			rows[n] = row()
		}
		do(b, s.Write(b.Context(), rows, writer, gateway.LogPosition{}))
	}
	b.ReportMetric(float64(b.N*len(rows))/b.Elapsed().Seconds(), "rows/s")
}
