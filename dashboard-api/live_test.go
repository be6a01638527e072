package dashboardapi

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"ai-gateway/gateway"
)

// growing is a store in which a request a second is recorded, by two keys in turn.
func growing(began time.Time) fakeReports {
	return fakeReports{requests: func(f gateway.RequestFilter, _ gateway.RequestPlace, limit int) (gateway.FoundRequests, error) {
		var rows []gateway.RecordedRequest
		for n := int(time.Since(began).Seconds()); n >= 0 && len(rows) < limit; n-- {
			at := began.Add(time.Duration(n) * time.Second)
			if at.Before(f.From) {
				break
			}
			rows = append(rows, gateway.RecordedRequest{ID: uuid.UUID{14: byte(n >> 8), 15: byte(n)}, StartedAt: at, Model: "m", Outcome: "ok",
				RequestID: fmt.Sprint("r", n), Key: gateway.Key{ID: []gateway.KeyID{"key_1", "key_2"}[n%2]}})
		}
		return gateway.FoundRequests{Requests: rows}, nil
	}}
}

func watch(h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// lastEventID is that of the last event of a stream.
func lastEventID(body string) string {
	_, id, _ := strings.Cut(body[strings.LastIndex(body, "id: "):], "id: ")
	id, _, _ = strings.Cut(id, "\n")
	return id
}

func TestRequestsAreToldAsTheyAreWrittenAndAStreamGoesOnWhereItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := api()
		a.Store = growing(time.Now())
		h := Handler(a)
		first := watch(h, livePath)
		if first.Header().Get("Content-Type") != "text/event-stream" || first.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%v", first.Header())
		}
		body := first.Body.String()
		if n := strings.Count(body, "event: request\n"); n < 23 || n > 25 || strings.Contains(body, `"request_id":"r0"`) {
			t.Errorf("%d events in 25 seconds: %s", n, body)
		}
		time.Sleep(5 * time.Second) // until the client is back
		next := watch(h, livePath, "Last-Event-ID", lastEventID(body)).Body.String()
		for n := 1; n < 50; n++ {
			if times := strings.Count(body+next, fmt.Sprintf(`"request_id":"r%d"`, n)); times != 1 {
				t.Errorf("request %d is told %d times", n, times)
			}
		}
	})
}

func TestWatchersSeeWhatTheyAskForAndMembersTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := api()
		a.Store = growing(time.Now())
		if body := watch(Handler(a), livePath+"?key=key_2").Body.String(); strings.Contains(body, "key_1") || !strings.Contains(body, "key_2") {
			t.Errorf("by key: %s", body)
		}
		if body := watch(Handler(a), livePath+"?model=other").Body.String(); strings.Contains(body, "event: request") {
			t.Errorf("by model: %s", body)
		}
		b := api()
		b.Entry, b.Store = protected, growing(time.Now())
		if body := call(Handler(b), "GET", livePath, "member", "").Body.String(); strings.Contains(body, "key_2") || !strings.Contains(body, "key_1") {
			t.Errorf("a member: %s", body)
		}
	})
}

func TestWatchersAreBounded(t *testing.T) {
	l := newLive()
	for range maxWatchers {
		if !l.enter() {
			t.Fatal("there is no room")
		}
	}
	if l.enter() {
		t.Error("there is more room than said")
	}
	l.leave()
	if !l.enter() {
		t.Error("nobody takes the place of who left")
	}
}

func TestASlowWatcherIsToldHowMuchItMissed(t *testing.T) {
	l := newLive()
	for n := range liveKept + 50 {
		l.take(gateway.RecordedRequest{ID: uuid.UUID{14: byte(n >> 8), 15: byte(n)}, StartedAt: time.Now()}, true)
	}
	l.forget(time.Now())
	events, skipped := l.since(10)
	if len(events) != liveKept || skipped != 40 || events[0].number != 50 {
		t.Errorf("%d events, %d skipped", len(events), skipped)
	}
	for id, want := range map[string]int64{"": l.next, "other-5": l.next, l.epoch + "-60": 61, l.epoch + "-999999": l.next, l.epoch + "--1": l.next} {
		if got := l.place(id); got != want {
			t.Errorf("behind %q is %d, want %d", id, got, want)
		}
	}
}

func TestAStreamEndsWithItsKeyAndWithTheRoleOfItsCaller(t *testing.T) {
	for name, changed := range map[string]func() (gateway.Admission, *gateway.Error){
		"the key is revoked": func() (gateway.Admission, *gateway.Error) {
			return gateway.Admission{}, &gateway.Error{Status: http.StatusUnauthorized}
		},
		"an administrator becomes a member": func() (gateway.Admission, *gateway.Error) {
			return gateway.Admission{Caller: &gateway.Caller{Grant: &gateway.Grant{Role: gateway.Member}}}, nil
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			a := api()
			began := time.Now()
			a.Store = growing(began)
			a.Entry.Admit = func(gateway.Credentials) (gateway.Admission, *gateway.Error) {
				if time.Since(began) > 3*time.Second {
					return changed()
				}
				return gateway.Admission{Caller: &gateway.Caller{}}, nil
			}
			watch(Handler(a), livePath)
			if lasted := time.Since(began); lasted > 5*time.Second {
				t.Errorf("%s: it goes on for %s", name, lasted)
			}
		})
	}
}

func TestATableThatIsAwayEndsTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := api()
		a.Store = fakeReports{requests: func(gateway.RequestFilter, gateway.RequestPlace, int) (gateway.FoundRequests, error) {
			return gateway.FoundRequests{}, context.DeadlineExceeded
		}}
		began := time.Now()
		watch(Handler(a), livePath)
		if time.Since(began) > time.Second {
			t.Error("it goes on")
		}
	})
}
