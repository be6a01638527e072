package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// reader reads one configuration and collects its faults.
type reader struct {
	getenv func(string) string
	file   string // as it was named; "" for the environment alone
	text   []byte // of the file
	folder string // of the file, to which the paths in it are relative
	files  Files
	values int // of the file, read so far

	keyless bool // keys are left where they are
	faults  []fault
}

// variable is the value of a variable without the space around it; an empty variable
// is as good as none.
func (r *reader) variable(name string) string { return strings.TrimSpace(r.getenv(name)) }

// first returns the first variable that is set, and its value.
func (r *reader) first(names ...string) (name, text string) {
	for _, name := range names {
		if text := r.variable(name); text != "" {
			return name, text
		}
	}
	return "", ""
}

// content reads a file that the configuration is made from, and remembers how it looked
// before.
func (r *reader) content(path string) ([]byte, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if r.files == nil {
		r.files = Files{}
	}
	if _, ok := r.files[path]; !ok {
		r.files[path] = appearanceOf(os.Stat(path))
	}
	content, err := readPlain(path)
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", path, cause(err))
	}
	return content, nil
}

func readPlain(path string) ([]byte, error) {
	switch info, err := os.Stat(path); {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, errors.New("it is a folder")
	case !info.Mode().IsRegular():
		return nil, errors.New("it is no plain file") // opening a pipe would block
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if len(content) > maxFile {
		return nil, fmt.Errorf("it is larger than %d MiB", maxFile>>20)
	}
	return content, err
}

// cause is an error of the file system without the path, which is told anyway.
func cause(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// key finds the key that a secret leads to. No fault shows it.
func (r *reader) key(s *secret) {
	if r.keyless {
		return
	}
	at, text := s.env.at, ""
	switch {
	case s.env.isSaid():
		if text = r.variable(string(s.env.value)); text == "" && variablePattern.MatchString(string(s.env.value)) {
			r.fault(at, "the variable %s is not set, or empty", s.env.value)
		}
	case s.file.isSaid():
		at, text = s.file.at, r.keyFile(s)
	}
	if strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' }) {
		r.fault(at, "the key holds characters that no key has (white space, control characters or beyond ASCII)")
		return
	}
	s.value = text
}

func (r *reader) keyFile(s *secret) string {
	content, err := r.content(string(s.file.value))
	text := strings.TrimSpace(string(content))
	switch {
	case err != nil:
		r.fault(s.file.at, "%v", err)
	case text == "":
		r.fault(s.file.at, "%q holds no key", s.file.value)
	}
	return text
}

// label shows as much of a key as helps people to recognise it.
func label(key string) string {
	const start, end, shortest = 3, 4, 12
	switch {
	case key == "":
		return ""
	case utf8.RuneCountInString(key) < shortest:
		return "set"
	}
	return key[:start] + hidden + key[len(key)-end:]
}

// authorities checks a PEM file with certificate authorities.
func (r *reader) authorities(p *setting[path]) string {
	if !p.isSaid() {
		return ""
	}
	content, err := r.content(string(p.value))
	switch {
	case err != nil:
		r.fault(p.at, "%v", err)
	case !x509.NewCertPool().AppendCertsFromPEM(content):
		r.fault(p.at, "%q holds no certificate in PEM form", p.value)
	}
	return string(content)
}

// certificate reads a certificate and its key, and checks that they belong together.
func (r *reader) certificate(t *tlsFiles) {
	if r.keyless || !t.cert.isSaid() || !t.key.isSaid() {
		return
	}
	certificate, err := r.content(string(t.cert.value))
	if err != nil {
		r.fault(t.cert.at, "%v", err)
	}
	key, keyErr := r.content(string(t.key.value))
	if keyErr != nil {
		r.fault(t.key.at, "%v", keyErr)
	}
	if err != nil || keyErr != nil {
		return
	}
	if _, err := tls.X509KeyPair(certificate, key); err != nil {
		r.fault(t.at, "the certificate and the key are not usable together: %v", err)
	}
	t.pair = TLS{string(certificate), string(key)}
}
