package responses

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"ai-gateway/gateway"
)

// tables are a store in memory.
type tables struct {
	mu      sync.Mutex
	kept    map[string]gateway.StoredResponse
	next    map[string]time.Time
	ends    []gateway.ResponseEnd
	away    error
	lookups int
}

func newTables() *tables {
	return &tables{kept: map[string]gateway.StoredResponse{}, next: map[string]time.Time{}}
}

func (s *tables) Response(_ context.Context, id string) (gateway.StoredResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lookups++
	if r, ok := s.kept[id]; ok || s.away != nil {
		return r, s.away
	}
	return gateway.StoredResponse{}, gateway.ErrNoResponse
}

func (s *tables) SaveResponses(_ context.Context, all []gateway.StoredResponse) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range all {
		s.kept[r.ID] = r
		if r.Pending {
			s.next[r.ID] = r.StartedAt
		}
	}
	return s.away
}

func (s *tables) ClaimResponses(_ context.Context, now, until time.Time, limit int) ([]gateway.StoredResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var claimed []gateway.StoredResponse
	for _, id := range slices.SortedFunc(maps.Keys(s.next), func(a, b string) int { return s.next[a].Compare(s.next[b]) }) {
		if at := s.next[id]; !at.After(now) && len(claimed) < limit {
			claimed, s.next[id] = append(claimed, s.kept[id]), until
		}
	}
	return claimed, s.away
}

func (s *tables) PostponeResponse(_ context.Context, id string, until time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next[id] = until
	return nil
}

func (s *tables) EndResponse(_ context.Context, end gateway.ResponseEnd) (*gateway.Row, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.next, end.ID)
	s.ends = append(s.ends, end)
	return nil, nil
}

// backend answers with a status that depends on how often it was asked.
type backend struct {
	mu     sync.Mutex
	asked  []time.Time
	status func(nth int) int
}

func (b *backend) ask(context.Context, string, string) (int, []byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, time.Now())
	status := b.status(len(b.asked))
	if status == 0 {
		return 0, nil, errors.New("it does not answer")
	}
	return status, nil, nil
}

// read finds that a response has ended.
func read(i *gateway.Intent, status int, _ []byte) gateway.Answer {
	w := gateway.ResponseWord{ID: "resp_1", State: gateway.ResponseEnded, Usage: gateway.Usage{Prompt: i.PromptTokens, Completion: 5}, Source: gateway.FromProvider}
	return gateway.Answer{Response: w}
}

func newBook(s Store, b *backend) *Book {
	return New(Config{Store: s, Ask: b.ask, Read: read, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Price: func(m gateway.Model, _ time.Time) (gateway.Price, bool) {
			return gateway.Price{Rates: gateway.Rates{Input: gateway.USD, Output: 2 * gateway.USD}, Version: "v"}, m == "priced"
		}})
}

func pending() gateway.StoredResponse {
	return gateway.StoredResponse{ID: "resp_1", Backend: "b", Model: "priced", StartedAt: time.Now(), Prompt: 1_000_000, Pending: true}
}

// follow follows a response for a time.
func follow(b *backend, s *tables, d time.Duration) {
	book := newBook(s, b)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- book.Run(ctx) }()
	book.Learn(pending())
	time.Sleep(d)
	stop()
	<-done
}

func TestABackgroundResponseIsAskedForEverLessOftenUntilItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTables()
		b := &backend{status: func(nth int) int {
			if nth < 12 {
				return http.StatusServiceUnavailable
			}
			return http.StatusOK
		}}
		follow(b, s, time.Hour)
		if len(b.asked) != 12 {
			t.Errorf("its backend was asked %d times", len(b.asked))
		}
		for i := 2; i < len(b.asked); i++ {
			if b.asked[i].Sub(b.asked[i-1]) < b.asked[i-1].Sub(b.asked[i-2]) {
				t.Errorf("it was asked at %v", b.asked)
			}
		}
		cost := 1_000_000*gateway.USD/1_000_000 + 5*2*gateway.USD/1_000_000
		want := []gateway.ResponseEnd{{ID: "resp_1", Usage: gateway.Usage{Prompt: 1_000_000, Completion: 5}, Source: gateway.FromProvider, Cost: gateway.Cost{Amount: &cost, Version: "v"}}}
		if diff := cmp.Diff(want, s.ends); diff != "" {
			t.Errorf("its end (- wanted, + written):\n%s", diff)
		}
	})
}

func TestAResponseWhoseEndCannotBeLearntIsGivenUp(t *testing.T) {
	for status, want := range map[int]struct {
		code  string
		after time.Duration
	}{http.StatusNotFound: {"response_gone", notFoundFor}, 0: {"response_unknown", followedFor}, http.StatusUnauthorized: {"response_unknown", followedFor}} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newTables()
				b := &backend{status: func(int) int { return status }}
				begun := time.Now()
				follow(b, s, 25*time.Hour)
				last := b.asked[len(b.asked)-1].Sub(begun)
				if diff := cmp.Diff([]gateway.ResponseEnd{{ID: "resp_1", ErrorCode: want.code}}, s.ends); diff != "" || last < want.after || last > want.after+longestWait+time.Minute {
					t.Errorf("after %s (- wanted, + written):\n%s", last, diff)
				}
			})
		})
	}
}

func TestAResponseIsFoundAtOnceAndByOtherGatewaysSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTables()
		mine, others := newBook(s, nil), newBook(s, nil)
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- mine.Run(ctx) }()
		r := gateway.StoredResponse{ID: "resp_1", Backend: "b"}
		mine.Learn(r)
		if got, err := mine.Find("resp_1"); err != nil || got != r || s.lookups != 0 {
			t.Errorf("here it is %+v, %v after %d look-ups", got, err, s.lookups)
		}
		if got, err := others.Find("resp_1"); err != nil || got != r { // it is looked for again
			t.Errorf("there it is %+v, %v", got, err)
		}
		if _, err := others.Find("resp_2"); !errors.Is(err, gateway.ErrNoResponse) {
			t.Errorf("another one: %v", err)
		}
		stop()
		<-done
	})
}

// slowTables do not answer until they are told to.
type slowTables struct {
	*tables
	asked  atomic.Int64
	answer chan struct{}
}

func (s *slowTables) Response(ctx context.Context, id string) (gateway.StoredResponse, error) {
	s.asked.Add(1)
	defer s.asked.Add(-1)
	select {
	case <-ctx.Done():
		return gateway.StoredResponse{}, ctx.Err()
	case <-s.answer:
		return s.tables.Response(ctx, id)
	}
}

func TestLookUpsLeaveTheDatabaseToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slowTables{tables: newTables(), answer: make(chan struct{})}
		b := newBook(s, nil)
		var all sync.WaitGroup
		var refused atomic.Int64
		for i := range 4 * maxLooking {
			all.Go(func() {
				if _, err := b.Find(fmt.Sprint(i)); err != nil && !errors.Is(err, gateway.ErrNoResponse) {
					refused.Add(1)
				}
			})
		}
		synctest.Wait()
		if asked, now := s.asked.Load(), refused.Load(); asked != lookAtOnce || now != 3*maxLooking {
			t.Errorf("%d ask at once, %d were refused at once", asked, now)
		}
		all.Wait()
		if now := refused.Load(); now != 4*maxLooking {
			t.Errorf("of a database that does not answer, %d were refused", now)
		}
		close(s.answer)
		if _, err := b.Find("resp_1"); !errors.Is(err, gateway.ErrNoResponse) {
			t.Errorf("afterwards: %v", err)
		}
	})
}

func TestABackendThatHangsDoesNotHoldUpTheResponsesOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTables()
		asked := map[string]int{}
		var mu sync.Mutex
		book := newBook(s, &backend{})
		book.c.Ask = func(ctx context.Context, name, _ string) (int, []byte, error) {
			mu.Lock()
			asked[name]++
			mu.Unlock()
			if name == "b" {
				return http.StatusOK, nil, nil
			}
			<-ctx.Done()
			return 0, nil, ctx.Err()
		}
		for i := range 1000 {
			s.kept[fmt.Sprint(i)] = gateway.StoredResponse{ID: fmt.Sprint(i), Backend: "hangs", StartedAt: time.Now(), Pending: true}
			s.next[fmt.Sprint(i)] = time.Now()
		}
		ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
		defer stop()
		book.Learn(pending())
		if err := book.Run(ctx); err != nil {
			t.Error(err)
		}
		if len(s.ends) != 1 || asked["hangs"] == 0 {
			t.Errorf("%d have ended; asked %v", len(s.ends), asked)
		}
	})
}

func TestADatabaseThatIsAwayIsToldFromAResponseThatIsNotKnown(t *testing.T) {
	s := newTables()
	s.away = errors.New("away")
	if _, err := newBook(s, nil).Find("resp_1"); err == nil || errors.Is(err, gateway.ErrNoResponse) {
		t.Errorf("it is %v", err)
	}
}

func TestABackendCannotTakeOverTheResponseOfAnotherOne(t *testing.T) {
	b := newBook(newTables(), nil)
	first := gateway.StoredResponse{ID: "resp_1", Backend: "b", Key: "key_ada"}
	again := first
	again.Tokens = 7
	for _, r := range []gateway.StoredResponse{first, {ID: "resp_1", Backend: "hostile", Key: "key_eve"}, again} {
		b.Learn(r)
	}
	if got, err := b.Find("resp_1"); err != nil || got != again || b.unsaved["resp_1"] != again {
		t.Errorf("it is %+v, %v", got, err)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	b := newBook(newTables(), nil)
	for i := range maxRemembered + 10 {
		b.Learn(gateway.StoredResponse{ID: fmt.Sprint(i)})
	}
	if len(b.known) != maxRemembered || len(b.order) != maxRemembered || len(b.unsaved) != maxUnsaved {
		t.Errorf("%d are known, %d unsaved", len(b.known), len(b.unsaved))
	}
	for id, want := range map[string]bool{"9": false, "10": true, fmt.Sprint(maxRemembered + 9): true} {
		if _, known := b.known[id]; known != want {
			t.Errorf("%s is known: %v", id, known)
		}
	}
}

func TestABackendIsAskedAsEnvoyWouldAskIt(t *testing.T) {
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = []string{r.Method, r.RequestURI, r.Header.Get("Authorization"), r.Header.Get("Api-Key"), r.Header.Get("X-Plain") + r.Header.Get("X-Hidden")}
		w.WriteHeader(http.StatusNotFound)
	}))
	defer server.Close()
	base := func(path string) *url.URL {
		u, err := url.Parse(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	backends := []gateway.Backend{
		{Name: "plain", BaseURL: base("/some%2Fpath/v1"), Credential: gateway.ClientFirst, Secret: "sk-1", Headers: []gateway.BackendHeader{{Name: "x-plain", Value: "a"}, {Name: "x-hidden", Secret: "b"}}},
		{Name: "azure", Kind: gateway.Azure, BaseURL: base(""), APIVersion: "2025-04-01", Deployment: "d", Credential: gateway.OwnCredential, Secret: "az"},
		{Name: "none", BaseURL: base("/v1"), Secret: "unused"},
	}
	ask := Asker(func() []gateway.Backend { return backends }, func(gateway.Backend) *http.Client { return server.Client() })
	for name, want := range map[string][]string{
		"plain": {"GET", "/some%2Fpath/v1/responses/resp_1%2F..", "Bearer sk-1", "", "ab"},
		"azure": {"GET", "/openai/responses/resp_1%2F..?api-version=2025-04-01", "", "az", ""},
		"none":  {"GET", "/v1/responses/resp_1%2F..", "", "", ""},
	} {
		status, _, err := ask(t.Context(), name, "resp_1/..")
		if diff := cmp.Diff(want, got); err != nil || status != http.StatusNotFound || diff != "" {
			t.Errorf("%s: %d, %v (- wanted, + got):\n%s", name, status, err, diff)
		}
	}
	if status, _, err := ask(t.Context(), "gone", "resp_1"); err == nil || status != 0 {
		t.Errorf("of no backend: %d, %v", status, err)
	}
}
