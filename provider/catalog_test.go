package provider

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ai-gateway/gateway"
)

// lister is a backend that lists models, and counts how often it was asked with which key.
type lister struct {
	answer func(w http.ResponseWriter, key string)
	asked  map[string]int
}

func listing(t *testing.T, answer func(w http.ResponseWriter, key string)) (*lister, gateway.Backend) {
	t.Helper()
	l := &lister{answer, map[string]int{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get("Authorization")
		l.asked[r.Method+" "+r.URL.Path+" "+key]++
		l.answer(w, key)
	}))
	t.Cleanup(server.Close)
	base, err := url.Parse(server.URL + "/v1")
	if err != nil {
		t.Fatal(err)
	}
	return l, gateway.Backend{Name: "b", BaseURL: base, Kind: gateway.OpenAI}
}

func oneModel(w http.ResponseWriter, key string) {
	fmt.Fprintf(w, `{"object":"list","data":[{"id":"of %s","created":7,"owned_by":"them"}]}`, key)
}

type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newCatalog(c *clock) *Catalog {
	return NewCatalog(func(gateway.Backend) *http.Client { return http.DefaultClient }, c.now, slog.New(slog.DiscardHandler))
}

func ids(models []gateway.ListedModel) (all []string) {
	for _, m := range models {
		all = append(all, string(m.ID))
	}
	return all
}

func TestMadeUpKeysDoNotFillTheLog(t *testing.T) {
	_, b := listing(t, func(w http.ResponseWriter, _ string) { w.WriteHeader(http.StatusUnauthorized) })
	b.Credential = gateway.ClientFirst
	var lines bytes.Buffer
	c := &clock{time.Unix(1000, 0)}
	catalog := NewCatalog(func(gateway.Backend) *http.Client { return http.DefaultClient }, c.now, slog.New(slog.NewTextHandler(&lines, nil)))
	for i := range 10 {
		catalog.Models(t.Context(), b, fmt.Sprintf("Bearer made-up-%d", i))
	}
	if n := bytes.Count(lines.Bytes(), []byte("\n")); n != 1 {
		t.Errorf("%d lines:\n%s", n, &lines)
	}
	c.at = c.at.Add(listKept)
	catalog.Models(t.Context(), b, "Bearer another")
	if n := bytes.Count(lines.Bytes(), []byte("\n")); n != 2 {
		t.Errorf("later there are %d lines:\n%s", n, &lines)
	}
}

func TestABackendIsAskedWithTheKeyThatItIsCalledWithAndNobodyElseSeesTheList(t *testing.T) {
	l, b := listing(t, oneModel)
	catalog := newCatalog(&clock{time.Unix(1000, 0)})
	b.Secret = "sk-own"
	for _, c := range []struct {
		credential gateway.Credential
		kind       gateway.Kind
		client     string
		want       []string
	}{
		{gateway.OwnCredential, gateway.OpenAI, "", []string{"of Bearer sk-own"}},
		{gateway.OwnCredential, gateway.OpenAI, "Bearer sk-1", []string{"of Bearer sk-own"}},
		{gateway.ClientFirst, gateway.OpenAI, "Bearer sk-1", []string{"of Bearer sk-1"}},
		{gateway.ClientFirst, gateway.OpenAI, "Bearer sk-2", []string{"of Bearer sk-2"}},
		{gateway.ClientFirst, gateway.OpenAI, "", []string{"of Bearer sk-own"}},
		{gateway.NoCredential, gateway.OpenAI, "Bearer sk-1", nil},
		{gateway.NoCredential, gateway.Local, "Bearer sk-1", []string{"of "}},
		{gateway.OwnCredential, gateway.Azure, "", nil},
	} {
		b.Credential, b.Kind = c.credential, c.kind
		for range 2 { // the second time it is known
			if diff := cmp.Diff(c.want, ids(catalog.Models(t.Context(), b, c.client))); diff != "" {
				t.Errorf("%+v:\n%s", c, diff)
			}
		}
	}
	want := map[string]int{"GET /v1/models Bearer sk-own": 1, "GET /v1/models Bearer sk-1": 1, "GET /v1/models Bearer sk-2": 1, "GET /v1/models ": 1}
	if diff := cmp.Diff(want, l.asked); diff != "" {
		t.Error(diff)
	}
}

func TestAListIsKeptForAWhileAndAlsoIfTheNextOneFails(t *testing.T) {
	works := true
	l, b := listing(t, func(w http.ResponseWriter, key string) {
		if !works {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		oneModel(w, key)
	})
	b.Kind = gateway.Local
	at := &clock{time.Unix(1000, 0)}
	catalog := newCatalog(at)
	for _, c := range []struct {
		after time.Duration
		works bool
		asked int
	}{{0, true, 1}, {listKept - 1, false, 1}, {1, false, 2}, {listRetry - 1, true, 2}, {1, true, 3}} {
		at.at, works = at.at.Add(c.after), c.works
		if diff := cmp.Diff([]string{"of "}, ids(catalog.Models(t.Context(), b, ""))); diff != "" || l.asked["GET /v1/models "] != c.asked {
			t.Errorf("after %s it was asked %d times, want %d\n%s", c.after, l.asked["GET /v1/models "], c.asked, diff)
		}
	}
}

func TestABackendThatDoesNotAnswerHoldsUpNobodyForLong(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	gone := make(chan struct{})
	_, b := listing(t, func(http.ResponseWriter, string) { <-gone })
	defer close(gone)
	b.Kind = gateway.Local
	if models := newCatalog(&clock{}).Models(ctx, b, ""); models != nil {
		t.Errorf("it lists %v", models)
	}
}

func TestFewListsAreKept(t *testing.T) {
	_, b := listing(t, oneModel)
	b.Credential = gateway.ClientFirst
	at := &clock{time.Unix(1000, 0)}
	catalog := newCatalog(at)
	for i := range maxLists + 20 {
		at.at = at.at.Add(time.Millisecond)
		catalog.Models(t.Context(), b, fmt.Sprint("Bearer ", i))
	}
	if len(catalog.lists) != maxLists {
		t.Errorf("%d lists are kept", len(catalog.lists))
	}
}

func TestOfAListOnlyWhatARequestCouldNameIsShown(t *testing.T) {
	for body, want := range map[string][]gateway.ListedModel{
		`{"data":[{"id":"b","created":3,"owned_by":"x"},{"id":"a"}]}`:                 {{ID: "a"}, {ID: "b", Created: 3, OwnedBy: "x"}},
		`{"data":[{"id":"a","created":1.5,"owned_by":{"x":1}},{"id":"a"},{"id":""}]}`: {{ID: "a"}},
		`{"data":[{"id":"a\u0007"},{"id":"` + strings.Repeat("x", 257) + `"},{}]}`:    nil,
		`{"object":"list"}`: nil,
		`{"data":[{"id":"a","owned_by":"` + strings.Repeat("x", 200) + `"}],"more":1}`: {{ID: "a"}},
	} {
		got, err := readModels([]byte(body))
		if err != nil {
			t.Errorf("%s: %v", body, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", body, diff)
		}
	}
	for _, body := range []string{"", "<html>", `[]`, `{"data":{}}`, `{"data":[{"id":1}]}`, `{"data":["a"]}`, `"` + strings.Repeat("x", maxList) + `"`} {
		if _, err := readModels([]byte(body)); err == nil {
			t.Errorf("%.40s was read", body)
		}
	}
}

func FuzzReadModels(f *testing.F) {
	f.Add([]byte(`{"data":[{"id":"a","created":1,"owned_by":"x"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		models, err := readModels(body)
		for _, m := range models {
			if err != nil || !readable(string(m.ID), maxListedID) {
				t.Errorf("%q, %v", m.ID, err)
			}
		}
	})
}
