package dashboardapi

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

// built is a dashboard of three files.
func built() fstest.MapFS {
	return fstest.MapFS{
		"web/.gitignore":           {Data: []byte("*")},
		"web/index.html.gz":        {Data: compress("<p>the page</p>")},
		"web/theme.js.gz":          {Data: compress("theme()")},
		"web/assets/main-1a.js.gz": {Data: compress("main()")},
	}
}

func askPage(p pages, path string, header ...string) (*http.Response, string) {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	body, _ := io.ReadAll(w.Result().Body)
	return w.Result(), string(body)
}

func TestEveryAddressOfThePageIsTheSamePage(t *testing.T) {
	for _, path := range []string{"/", "/chat/0a1b", "/usage", "/requests/0199-aa", "/keys", "/system"} {
		response, body := askPage(newPages(built()), path)
		if response.StatusCode != 200 || body != "<p>the page</p>" || response.Header.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%s: %d %q %v", path, response.StatusCode, body, response.Header)
		}
		if response.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s may be kept: %v", path, response.Header)
		}
	}
}

func TestFilesWithHashesAreKeptForGood(t *testing.T) {
	response, body := askPage(newPages(built()), "/assets/main-1a.js")
	if body != "main()" || !strings.Contains(response.Header.Get("Cache-Control"), "immutable") {
		t.Errorf("%q %v", body, response.Header)
	}
}

func TestAFileThatIsNotThereIsNoPage(t *testing.T) {
	for _, path := range []string{"/assets/old-2b.js", "/assets", "/favicon.svg"} {
		response, body := askPage(newPages(built()), path)
		if response.StatusCode != 404 || !strings.Contains(body, `"code":"unknown_url"`) || response.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s %v", path, response.StatusCode, body, response.Header)
		}
	}
}

func TestBrowsersGetTheCompressedFile(t *testing.T) {
	response, body := askPage(newPages(built()), "/theme.js", "Accept-Encoding", "br, gzip;q=0.8")
	if response.Header.Get("Content-Encoding") != "gzip" || response.Header.Get("Vary") != "Accept-Encoding" {
		t.Fatalf("%v", response.Header)
	}
	plain, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(plain); err != nil || string(text) != "theme()" {
		t.Errorf("%q, %v", text, err)
	}
	if response, _ := askPage(newPages(built()), "/theme.js", "Accept-Encoding", "gzip;q=0"); response.Header.Get("Content-Encoding") != "" {
		t.Errorf("a client that refuses gzip gets it: %v", response.Header)
	}
}

func TestAPageThatDidNotChangeIsNotSentAgain(t *testing.T) {
	first, _ := askPage(newPages(built()), "/")
	second, body := askPage(newPages(built()), "/", "If-None-Match", first.Header.Get("ETag"))
	if second.StatusCode != 304 || body != "" {
		t.Errorf("%d %q", second.StatusCode, body)
	}
}

func TestPagesRunAndFetchNothingButTheirOwn(t *testing.T) {
	response, _ := askPage(newPages(built()), "/")
	policy := response.Header.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "script-src 'self';", "style-src 'self';", "connect-src 'self';", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(policy, part) {
			t.Errorf("%q is not in %q", part, policy)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") {
		t.Errorf("the policy lets in what it should not: %q", policy)
	}
}

func TestAGatewayWithoutTheDashboardSaysSo(t *testing.T) {
	response, body := askPage(newPages(fstest.MapFS{"web/.gitignore": {}}), "/usage")
	if response.StatusCode != 200 || !strings.Contains(body, "make build") {
		t.Errorf("%d %s", response.StatusCode, body)
	}
}

func TestThePageIsReadAndNotWritten(t *testing.T) {
	if response, body := ask(Handler(api()), "POST", "/"); response.StatusCode != 405 || !strings.Contains(body, "method_not_allowed") {
		t.Errorf("%d %s", response.StatusCode, body)
	}
	if response, _ := ask(Handler(api()), "HEAD", "/"); response.StatusCode != 200 {
		t.Errorf("HEAD: %d", response.StatusCode)
	}
}
