package wal

import (
	"strings"
	"testing"
)

func TestARecordThatIsTooLongIsNotWritten(t *testing.T) {
	s := openLog(t, t.TempDir())
	i := intent()
	i.RequestID = strings.Repeat("x", maxRecord)
	if err := s.AppendIntent(&i); err == nil {
		t.Error("an intent is written that could not be read")
	}
	i = intent()
	begin(t, s, i)
	end := settlement(i)
	end.Answer.Text = strings.Repeat("x", maxRecord)
	s.AppendSettlement(&end)
	if got := kinds(t, s); got != "PIS" || s.Stats().Lost != 0 {
		t.Errorf("of a settlement with a long text the figures are not kept: kinds %s, stats %+v", got, s.Stats())
	}
}
