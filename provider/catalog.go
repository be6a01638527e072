package provider

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"ai-gateway/gateway"
)

const (
	listTimeout = 3 * time.Second  // for a backend to list its models
	listKept    = 5 * time.Minute  // how long a list is good for
	listRetry   = 10 * time.Second // pause after a failed request
	maxList     = 4 << 20          // bytes

	anthropicVersion = "2023-06-01" // of the Anthropic API
	maxListed        = 10_000       // models of a list
	maxLists         = 256          // lists that are kept
	maxListedID      = 256          // bytes
	maxListOwner     = 128          // bytes
)

// Catalog caches the models that backends list. It asks them with the key that Envoy would use, so
// that each caller gets their own list. A list that was fetched with a client's own key is kept
// under that key, and shown to nobody else.
type Catalog struct {
	client func(gateway.Backend) *http.Client
	now    func() time.Time
	log    *slog.Logger

	mu     sync.Mutex
	lists  map[listKey]*modelList
	warned map[string]time.Time // of a backend, by name
}

// listKey identifies a list by its backend and the key that it was fetched with.
type listKey struct {
	base       string
	credential [sha256.Size]byte
}

type modelList struct {
	mu     sync.Mutex // held while the list is fetched
	models []gateway.ListedModel
	asked  time.Time
	failed bool // the last request failed; the models are older
}

// NewCatalog makes a catalog. client makes the HTTP client for a backend.
func NewCatalog(client func(gateway.Backend) *http.Client, now func() time.Time, log *slog.Logger) *Catalog {
	return &Catalog{client: client, now: now, log: log, lists: map[listKey]*modelList{}, warned: map[string]time.Time{}}
}

// Models returns the models that a backend lists for a caller with their own Authorization header,
// "" for none. It returns the last known list if the backend does not answer in time, and nil if
// there is none.
func (c *Catalog) Models(ctx context.Context, b gateway.Backend, authorization string) []gateway.ListedModel {
	name, value := credentialFor(b, authorization)
	if b.Kind == gateway.Azure || (b.Kind == gateway.OpenAI || b.Kind == gateway.Anthropic) && value == "" {
		return nil // Azure lists what could be deployed; OpenAI and Anthropic require a key
	}
	list := c.list(listKey{b.BaseURL.String(), sha256.Sum256([]byte(value))})
	list.mu.Lock()
	defer list.mu.Unlock()
	good := listKept
	if list.failed {
		good = listRetry
	}
	if !list.asked.IsZero() && c.now().Sub(list.asked) < good {
		return list.models
	}
	models, err := c.ask(ctx, b, name, value)
	if ctx.Err() != nil {
		return list.models // the caller has left: not the backend's fault
	}
	if err != nil && !list.failed {
		c.warn(b, err)
	}
	list.asked, list.failed = c.now(), err != nil
	if err == nil {
		list.models = models
	}
	return list.models
}

// warn logs that a backend gives no list. It limits the rate, because clients with invalid keys
// could fill the log.
func (c *Catalog) warn(b gateway.Backend, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); now.Sub(c.warned[b.Name]) >= listKept {
		c.warned[b.Name] = now
		c.log.Warn("a backend does not list its models; /v1/models shows those of the configuration, and what it listed before", "backend", b.Name, "error", err)
	}
}

// credentialFor is the header with the key that a backend is called with.
func credentialFor(b gateway.Backend, authorization string) (name, value string) {
	name, prefix := b.KeyHeader()
	switch {
	case b.Credential == gateway.ClientFirst && authorization != "" && b.Kind == gateway.Anthropic && !strings.Contains(authorization, " "):
		return name, authorization // a key, not a token with its scheme
	case b.Credential == gateway.ClientFirst && authorization != "":
		return "authorization", authorization
	case b.Credential != gateway.NoCredential && b.Secret != "":
		return name, prefix + b.Secret
	}
	return "", ""
}

// list returns the cached list, or a new one that replaces the oldest.
func (c *Catalog) list(key listKey) *modelList {
	c.mu.Lock()
	defer c.mu.Unlock()
	if list, ok := c.lists[key]; ok {
		return list
	}
	if len(c.lists) >= maxLists {
		c.forgetOldest()
	}
	list := &modelList{}
	c.lists[key] = list
	return list
}

func (c *Catalog) forgetOldest() {
	var oldest listKey
	var since time.Time
	for key, list := range c.lists {
		if !list.mu.TryLock() {
			continue // it is being fetched
		}
		if since.IsZero() || list.asked.Before(since) {
			oldest, since = key, list.asked
		}
		list.mu.Unlock()
	}
	delete(c.lists, oldest)
}

func (c *Catalog) ask(ctx context.Context, b gateway.Backend, header, value string) ([]gateway.ListedModel, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, b.BaseURL.JoinPath("models").String(), nil)
	if err != nil {
		return nil, err
	}
	if b.Kind == gateway.Anthropic {
		request.Header.Set("Anthropic-Version", anthropicVersion)
		request.URL.RawQuery = "limit=1000"
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "ai-gateway")
	if value != "" {
		request.Header.Set(header, value)
	}
	response, err := c.client(b).Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answered %s", response.Status)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxList+1))
	if err != nil {
		return nil, err
	}
	return readModels(body)
}

// readModels reads a list as OpenAI's API has it. Models with ids that no request could name are
// left out. Of duplicates the first counts.
// Source: https://platform.openai.com/docs/api-reference/models/list
func readModels(body []byte) ([]gateway.ListedModel, error) {
	if len(body) > maxList {
		return nil, fmt.Errorf("its list is longer than %d bytes", maxList)
	}
	var list struct {
		Data []struct {
			ID      string          `json:"id"`
			Created json.RawMessage `json:"created"`
			OwnedBy json.RawMessage `json:"owned_by"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, errors.New("its list is not the JSON of a list of models")
	}
	var models []gateway.ListedModel
	seen := map[string]bool{}
	for _, m := range list.Data[:min(len(list.Data), maxListed)] {
		if seen[m.ID] || !readable(m.ID, maxListedID) {
			continue
		}
		seen[m.ID] = true
		listed := gateway.ListedModel{ID: gateway.Model(m.ID)}
		_ = json.Unmarshal(m.Created, &listed.Created) // otherwise it stays unknown
		var owner string
		if json.Unmarshal(m.OwnedBy, &owner) == nil && readable(owner, maxListOwner) {
			listed.OwnedBy = owner
		}
		models = append(models, listed)
	}
	slices.SortStableFunc(models, func(a, b gateway.ListedModel) int { return cmp.Compare(a.ID, b.ID) })
	return models, nil
}

func readable(text string, most int) bool {
	return text != "" && len(text) <= most && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}
