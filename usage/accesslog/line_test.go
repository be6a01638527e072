package accesslog

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ai-gateway/gateway"
)

const requestID = "0192f0c0-0000-7000-8000-000000000001"

func TestALineOfAnotherFormIsReadIfItIsAnOlderOne(t *testing.T) {
	for version, reads := range map[string]bool{``: true, `"v":1,`: true, `"v":"1",`: true, `"v":2,`: false} {
		l, err := Parse([]byte(`{` + version + `"id":"` + requestID + `","status":429}`))
		if (err == nil) != reads || reads && l.Status != 429 {
			t.Errorf("%s: %+v, %v", version, l, err)
		}
	}
}

func TestEachCallIsReadWithItsTimes(t *testing.T) {
	l, err := Parse([]byte(`{"v":1,"id":"` + requestID + `","duration_ms":1234,"bytes_sent":4321,` +
		`"tries":"|first 1700000000000 503 1700000000050|second 1700000000200 200 1700000000300"}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []gateway.Try{
		{Backend: "first", Status: 503, Duration: 50 * time.Millisecond},
		{Backend: "second", Status: 200, Start: 200 * time.Millisecond, Duration: 1034 * time.Millisecond, Bytes: 4321},
	}
	if diff := cmp.Diff(want, l.Tries); diff != "" {
		t.Error(diff)
	}
}
