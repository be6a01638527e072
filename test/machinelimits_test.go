//go:build mesh

package test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ai-gateway/test/fakeprovider"
	"ai-gateway/test/program"
)

// limits asks three times as often as a key may, at all machines at once.
func (m *machines) limits(t *testing.T, key string) {
	if left := time.Until(time.Now().Truncate(time.Hour).Add(time.Hour)); left < time.Minute {
		time.Sleep(left) // the hour would end in the middle
	}
	m.await(t, key)
	var s answers
	err := atOnce(300, func(i int) error { return s.count(m.all[i%3].ask("gen-chunks=1-usage", false, key)) })
	t.Logf("of 300 requests %d passed and %d were refused", s.passed.Load(), s.refused.Load())
	if err != nil || s.passed.Load() != 100 {
		t.Errorf("%d requests passed, not 100: %v", s.passed.Load(), err)
	}
}

// budget asks at all machines at once for much more than a key may spend. One request costs 0.013
// dollars, so ten of them fit.
func (m *machines) budget(t *testing.T, key string) {
	m.await(t, key)
	var s answers
	prompt := strings.Repeat("word ", fakeprovider.GeneratedPrompt) // counts for at least what the provider says it does
	body := fmt.Sprintf(`{"model":"priced","max_tokens":2,"messages":[{"role":"user","content":%q}]}`, prompt)
	err := atOnce(60, func(i int) error { return s.count(post(m.all[i%3].address, chatPath, body, key, "Connection: close")) })
	t.Logf("of 60 requests %d passed and %d were refused", s.passed.Load(), s.refused.Load())
	if passed := s.passed.Load(); err != nil || passed > 10 || passed == 0 {
		t.Errorf("%d requests passed, which may be ten at most: %v", passed, err)
	}
	program.Await(t, rowsWithin, func() error { // so that the next part does not count them
		rows, err := (&process{databaseURL: m.url}).rows()
		if priced := where(rows, "model", "priced"); err == nil && len(priced) != int(s.passed.Load()) {
			err = fmt.Errorf("%d rows of %d requests", len(priced), s.passed.Load())
		}
		return err
	})
}

// Tokens of the requests that ask for them, and how many requests the tests send.
const (
	tokensEach    = fakeprovider.GeneratedPrompt + 2
	atOnceTokens  = 90
	steadyClients = 12
	steadyFor     = 20 * time.Second
	countedLimit  = 1_000_000
)

// answers counts those of requests.
type answers struct{ passed, refused atomic.Int64 }

// askFor sends a request of tokensEach tokens to a machine, and counts its answer.
func (s *answers) askFor(c *machine, key string) error {
	body := fmt.Sprintf(`{"model":"gen-chunks=2-usage","max_tokens":2,"messages":[{"role":"user","content":%q}]}`, strings.Repeat("word ", fakeprovider.GeneratedPrompt))
	return s.count(post(c.address, chatPath, body, key, "Connection: close"))
}

// count counts an answer. It returns an error for one of another status.
func (s *answers) count(a answer, err error) error {
	switch {
	case err == nil && a.status == http.StatusOK:
		s.passed.Add(1)
	case err == nil && a.status == http.StatusTooManyRequests:
		s.refused.Add(1)
	default:
		return fmt.Errorf("status %d, %w: %s", a.status, err, a.body)
	}
	return nil
}

// withinAMinute waits for the begin of a minute, runs what has to end before the next one, and
// reports whether it did.
func withinAMinute(f func()) bool {
	minute := time.Now().Truncate(time.Minute).Add(time.Minute)
	time.Sleep(time.Until(minute))
	f()
	return time.Since(minute) < time.Minute
}

// tokens asks at all machines at once for much more than a key may use in a minute. Each machine lets
// in what is left and one request more, as it does not know what runs at the others. What was used is
// charged once, wherever it ran.
func (m *machines) tokens(t *testing.T, key string) {
	m.await(t, key)
	var s answers
	var err error
	if !withinAMinute(func() { err = atOnce(atOnceTokens, func(i int) error { return s.askFor(m.all[i%3], key) }) }) {
		t.Fatal("the requests took more than a minute: this machine is too busy for this test")
	}
	const limit = 130
	used := s.passed.Load() * tokensEach
	t.Logf("of %d requests at once %d passed and %d were refused: %d tokens of a limit of %d", atOnceTokens, s.passed.Load(), s.refused.Load(), used, limit)
	if bound := int64(len(m.all)) * (limit + tokensEach); err != nil || used < limit || used > bound {
		t.Errorf("%d tokens passed, which may be from %d to %d: %v", used, limit, bound, err)
	}
	m.hasRows(t, "metered", s.passed.Load())
}

// charged holds that all machines charge one count, each request once.
func (m *machines) charged(t *testing.T, key string) {
	m.await(t, key)
	left := func(c *machine) (int64, error) { // in the answer to one more request, without what that holds itself
		a, err := c.ask("gen-chunks=2-usage", false, key)
		if err != nil || a.status != http.StatusOK {
			return 0, fmt.Errorf("status %d, %w", a.status, err)
		}
		return strconv.ParseInt(a.get("x-ratelimit-remaining-tokens"), 10, 64)
	}
	untouched, err := left(m.all[0])
	if err != nil {
		t.Fatal(err)
	}
	var s answers
	if err := atOnce(atOnceTokens, func(i int) error { return s.askFor(m.all[i%3], key) }); err != nil || s.passed.Load() != atOnceTokens {
		t.Fatalf("%d of %d requests passed: %v", s.passed.Load(), atOnceTokens, err)
	}
	requests := int64(1 + atOnceTokens)
	for _, c := range m.all {
		program.Await(t, rowsWithin, func() error { // until what ended last is charged
			want := untouched - requests*tokensEach
			got, err := left(c)
			if err != nil {
				return err
			}
			requests++
			if got != want {
				return fmt.Errorf("at %s %d tokens are left, want %d", c.name, got, want)
			}
			return nil
		})
	}
	t.Logf("%d requests at three machines were charged %d tokens", requests-1, (requests-1)*tokensEach)
	m.hasRows(t, "counted", requests)
}

// steady has clients use all machines for a while, much more than a limit on tokens lets pass.
func (m *machines) steady(t *testing.T, key string) {
	m.await(t, key)
	var s answers
	var failed atomic.Int64
	if !withinAMinute(func() {
		ctx, stop := context.WithTimeout(t.Context(), steadyFor)
		defer stop()
		var running sync.WaitGroup
		for i := range steadyClients {
			running.Go(func() {
				for n := i; ctx.Err() == nil; n++ {
					if err := s.askFor(m.all[n%3], key); err != nil {
						failed.Add(1)
					}
				}
			})
		}
		running.Wait()
	}) {
		t.Fatal("the requests took more than a minute: this machine is too busy for this test")
	}
	const limit = 1300
	used := s.passed.Load() * tokensEach
	t.Logf("in %s %d requests passed and %d were refused: %d tokens of a limit of %d", steadyFor, s.passed.Load(), s.refused.Load(), used, limit)
	if bound := int64(limit + steadyClients*tokensEach); failed.Load() > 0 || used < limit || used > bound {
		t.Errorf("%d tokens passed, which may be from %d to %d, and %d requests failed", used, limit, bound, failed.Load())
	}
	m.hasRows(t, "steady", s.passed.Load())
}

// hasRows waits until the api role shows as many requests of a key.
func (m *machines) hasRows(t *testing.T, label string, n int64) {
	t.Helper()
	program.Await(t, rowsWithin, func() error {
		found, err := m.costs(m.api)
		if err == nil && found[label] != n {
			err = fmt.Errorf("%d rows of %d requests of %s", found[label], n, label)
		}
		return err
	})
}

// costs are the requests of each key, by its label, as the api role at an address shows them.
func (m *machines) costs(address string) (map[string]int64, error) {
	request, err := http.NewRequest(http.MethodGet, "http://"+address+"/api/costs", nil)
	if err != nil {
		return nil, err
	}
	name, value, _ := strings.Cut(m.admin, ": ")
	request.Header.Set(name, value)
	response, err := (&http.Client{Timeout: callWithin}).Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, errors.New(response.Status)
	}
	var report struct {
		Keys []struct {
			Label    string
			Requests int64
		}
	}
	err = json.NewDecoder(response.Body).Decode(&report)
	found := map[string]int64{}
	for _, k := range report.Keys {
		found[k.Label] += k.Requests
	}
	return found, err
}

// shows asks each machine with a key of its own. The api role, on another machine, shows all of them, and
// so does every Envoy, which leads there.
func (m *machines) shows(t *testing.T) {
	want := map[string]int64{}
	for i, c := range m.all {
		label := "at-" + c.name
		key := m.key("--label", label)
		m.await(t, key)
		for range i + 2 {
			if a, err := c.ask("gen-chunks=2-usage", false, key); err != nil || a.status != http.StatusOK {
				t.Fatalf("status %d, %v", a.status, err)
			}
		}
		want[label] = int64(i + 2)
	}
	for _, address := range []string{m.api, m.all[0].address, m.all[1].address, m.all[2].address} {
		program.Await(t, rowsWithin, func() error {
			found, err := m.costs(address)
			if err != nil {
				return err
			}
			got := map[string]int64{}
			for label := range want {
				got[label] = found[label]
			}
			if diff := cmp.Diff(want, got); diff != "" {
				return fmt.Errorf("at %s the requests of each machine's key (- asked, + shown):\n%s", address, diff)
			}
			return nil
		})
	}
}
