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
	file   string // as it was named; "" for none
	text   []byte // of the file
	folder string // of the file, to which the paths in it are relative
	files  Files
	values int             // of the file, read so far
	said   map[any]mention // by the address of the variable that was read into

	guarded bool // with keyless: the admin's key is read nevertheless
	keyless bool // keys are not read
	faults  []fault
}

func newReader(path string, getenv func(string) string) *reader {
	return &reader{getenv: getenv, file: path, said: map[any]mention{}}
}

// say sets a value that is not from the file.
func say[T any](r *reader, into *T, value T, text string, at place) {
	*into = value
	r.said[into] = mention{at, text}
}

// sayAlso gives a value the text and place of another one, if that has any.
func sayAlso[T any](r *reader, into, as *T) {
	if m := r.said[as]; m.isSaid() {
		*into, r.said[into] = *as, m
	}
}

// variable returns a variable's value without the space around it. An empty variable counts
// as unset.
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

// content reads a file of the configuration. It remembers its appearance from before the
// reading, so that no later change is missed.
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
		return nil, errors.New("is a folder")
	case !info.Mode().IsRegular():
		return nil, errors.New("is not a regular file") // opening a pipe would block
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if len(content) > maxFile {
		return nil, fmt.Errorf("is larger than %d MiB", maxFile>>20)
	}
	return content, err
}

// cause returns an error of the file system without its path, which the message has already.
func cause(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// key reads the key that a secret names, unless the reader is keyless.
func (r *reader) key(s *secret) {
	if !r.keyless {
		r.readKey(s)
	}
}

// readKey reads the key that a secret names. No fault shows it.
func (r *reader) readKey(s *secret) {
	at, text := r.said[&s.env].place, ""
	switch {
	case r.said[&s.env].isSaid():
		if text = r.variable(s.env); text == "" && variablePattern.MatchString(s.env) {
			r.fault(at, "the variable %s is not set, or empty", s.env)
		}
	case r.said[&s.file].isSaid():
		at, text = r.said[&s.file].place, r.keyFile(s)
	}
	if err := checkKeyText(text); err != nil {
		r.fault(at, "%v", err)
		return
	}
	s.value = text
}

func (r *reader) keyFile(s *secret) string {
	content, err := r.content(s.file)
	text := strings.TrimSpace(string(content))
	switch {
	case err != nil:
		r.fault(r.said[&s.file].place, "%v", err)
	case text == "":
		r.fault(r.said[&s.file].place, "%q contains no key", s.file)
	}
	return text
}

// label returns the part of a key by which people can recognise it.
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
func (r *reader) authorities(path *string) string {
	at := r.said[path]
	if !at.isSaid() {
		return ""
	}
	content, err := r.content(*path)
	switch {
	case err != nil:
		r.fault(at.place, "%v", err)
	case !x509.NewCertPool().AppendCertsFromPEM(content):
		r.fault(at.place, "%q contains no certificate in PEM form", *path)
	}
	return string(content)
}

// certificate reads a certificate and its key, and checks that they belong together.
func (r *reader) certificate(t *tlsFiles) (pair TLS) {
	cert, key := r.said[&t.cert], r.said[&t.key]
	if r.keyless || !cert.isSaid() || !key.isSaid() {
		return TLS{}
	}
	chain, err := r.content(t.cert)
	if err != nil {
		r.fault(cert.place, "%v", err)
	}
	private, keyErr := r.content(t.key)
	if keyErr != nil {
		r.fault(key.place, "%v", keyErr)
	}
	if err != nil || keyErr != nil {
		return TLS{}
	}
	if _, err := tls.X509KeyPair(chain, private); err != nil {
		r.fault(r.said[t].place, "the certificate and the key do not fit together: %v", err)
	}
	return TLS{string(chain), string(private)}
}
