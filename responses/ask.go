package responses

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"

	"ai-gateway/gateway"
)

// maxBody is the largest response that is read, in bytes.
const maxBody = 16 << 20

// Asker returns a func that asks backends for responses as Envoy would: with the backend's own key and
// headers. client makes the HTTP client for a backend.
func Asker(backends func() []gateway.Backend, client func(gateway.Backend) *http.Client) func(ctx context.Context, backend, id string) (int, []byte, error) {
	return func(ctx context.Context, backend, id string) (int, []byte, error) {
		all := backends()
		at := slices.IndexFunc(all, func(b gateway.Backend) bool { return b.Name == backend })
		if at < 0 {
			return 0, nil, fmt.Errorf("backend %q is not configured any more", backend)
		}
		request, err := requestFor(ctx, &all[at], id)
		if err != nil {
			return 0, nil, err
		}
		response, err := client(all[at]).Do(request)
		if err != nil {
			return 0, nil, err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
		return response.StatusCode, body, err
	}
}

// requestFor is the request for a response.
func requestFor(ctx context.Context, b *gateway.Backend, id string) (*http.Request, error) {
	target := b.BaseURL.Scheme + "://" + b.BaseURL.Host + b.BasePath() + gateway.FetchResponse.For(url.PathEscape(id))
	if b.APIVersion != "" {
		target += "?api-version=" + url.QueryEscape(b.APIVersion)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("Accept-Encoding", "identity")
	request.Header.Set("User-Agent", "ai-gateway")
	if b.Secret != "" && b.Credential != gateway.NoCredential {
		name, prefix := b.KeyHeader()
		request.Header.Set(name, prefix+b.Secret)
	}
	for _, h := range b.Headers {
		request.Header.Set(h.Name, h.Value+h.Secret) // one of them is empty
	}
	return request, nil
}
