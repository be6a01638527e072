package dashboardapi

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"

	"ai-gateway/gateway"
)

// web is the built dashboard: each file compressed, as its name and ".gz". It is empty in a
// checkout that was never built.
//
//go:embed all:web
var web embed.FS

const (
	webFolder = "web"
	indexFile = "/index.html"
)

// pagePolicy restricts pages to this gateway, and forbids framing. Text from a model can neither
// run nor load anything. Attached pictures are data URLs.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data: blob:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// notBuilt is the page of a gateway that was built without the dashboard.
const notBuilt = `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>AI Gateway</title>
<h1>The dashboard is not part of this binary</h1>
<p>The gateway runs, and its API answers. It was built by <code>go build</code> alone: <code>make build</code> puts the dashboard in.</p>
`

// file is one file of the dashboard.
type file struct {
	compressed []byte // by gzip
	kind       string // Content-Type
	etag       string
}

// pages serve the dashboard.
type pages struct {
	files map[string]file // by path, "/assets/index-1a2b.js"
}

// newPages reads the built files below webFolder. They are part of the binary, so a file that
// cannot be read is a build error.
func newPages(built fs.FS) pages {
	p := pages{files: map[string]file{indexFile: newFile(compress(notBuilt), indexFile)}}
	err := fs.WalkDir(built, webFolder, func(name string, entry fs.DirEntry, err error) error {
		plain, compressed := strings.CutSuffix(strings.TrimPrefix(name, webFolder), ".gz")
		if err != nil || entry.IsDir() || !compressed {
			return err
		}
		body, err := fs.ReadFile(built, name)
		p.files[plain] = newFile(body, plain)
		return err
	})
	if err != nil {
		panic(fmt.Errorf("reading the built dashboard: %w", err))
	}
	return p
}

func newFile(compressed []byte, name string) file {
	return file{compressed, mime.TypeByExtension(path.Ext(name)), fmt.Sprintf(`"%.8x"`, sha256.Sum256(compressed))}
}

func compress(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text) // a buffer takes everything
	_ = w.Close()
	return b.Bytes()
}

// ServeHTTP answers a path of the dashboard. Every page is the same file, because the app routes by
// the URL itself.
func (p pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, ok := p.files[r.URL.Path]
	asset := strings.HasPrefix(r.URL.Path, gateway.AssetsPath)
	if !ok && (asset || path.Dir(r.URL.Path) == "/" && path.Ext(r.URL.Path) != "") {
		refusal := notFound("unknown_url", "", "The dashboard has no such file. It may have changed: load the page again.")
		send(w, refusal.Status, refusal.JSON())
		return
	}
	if !ok {
		f = p.files[indexFile]
	}
	f.send(w, r, asset)
}

func (f file) send(w http.ResponseWriter, r *http.Request, asset bool) {
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	if asset {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	h.Set("ETag", f.etag)
	h.Set("Vary", "Accept-Encoding")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Content-Security-Policy", pagePolicy)
	if r.Header.Get("If-None-Match") == f.etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", f.kind)
	if takesGzip(r) {
		h.Set("Content-Encoding", "gzip")
		h.Set("Content-Length", strconv.Itoa(len(f.compressed)))
		_, _ = w.Write(f.compressed) // an error is the client leaving
		return
	}
	if plain, err := gzip.NewReader(bytes.NewReader(f.compressed)); err == nil {
		_, _ = io.Copy(w, plain)
	}
}

// takesGzip reads Accept-Encoding as far as browsers use it.
func takesGzip(r *http.Request) bool {
	for _, part := range strings.Split(r.Header.Get("Accept-Encoding"), ",") {
		name, weight, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.TrimSpace(name) == "gzip" {
			return strings.ReplaceAll(weight, " ", "") != "q=0"
		}
	}
	return false
}
