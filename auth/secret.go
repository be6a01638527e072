package auth

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// secretSize is the size of the secret that keys are hashed with, in bytes.
const secretSize = 32

// LoadIdentifier reads the secret from a file that only its owner may read. It makes the file if
// there is none.
func LoadIdentifier(path string) (*Identifier, error) {
	secret, err := readSecret(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = makeSecret(path, rand.Reader); err == nil {
			secret, err = readSecret(path)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("loading the secret for key ids: %w", err)
	}
	return newIdentifier(secret), nil
}

// ShareSecret makes the file of a secret that gateways share, unless it is there: it proposes
// the one in the file own, or a new one, and keeps what agree returns.
func ShareSecret(path, own string, agree func(proposed []byte) (agreed []byte, err error)) error {
	if _, err := readSecret(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	proposed, err := readSecret(own)
	if errors.Is(err, fs.ErrNotExist) {
		proposed = make([]byte, secretSize)
		_, err = rand.Read(proposed)
	}
	if err != nil {
		return fmt.Errorf("loading the secret for key ids: %w", err)
	}
	agreed, err := agree(proposed)
	if err == nil && len(agreed) != secretSize {
		err = fmt.Errorf("the shared secret for key ids has %d bytes instead of %d", len(agreed), secretSize)
	}
	if err == nil {
		err = makeSecret(path, bytes.NewReader(agreed))
	}
	return err
}

// ReadSecret reads the secret in a file; nil if there is no file.
func ReadSecret(path string) ([]byte, error) {
	secret, err := readSecret(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("loading the secret for key ids: %w", err)
	}
	return secret, nil
}

func readSecret(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%q is not a regular file", path) // opening a pipe would block
	case info.Size() != secretSize:
		return nil, fmt.Errorf("%q has %d bytes instead of %d: restore it, or remove it to begin anew with other key ids",
			path, info.Size(), secretSize)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	secret := make([]byte, secretSize)
	_, err = io.ReadFull(f, secret)
	return secret, err
}

// makeSecret writes a secret whole or not at all. A secret that another process made in the
// meantime stays, because a link, unlike a rename, never replaces a file.
// Source: https://pubs.opengroup.org/onlinepubs/9799919799/functions/link.html
func makeSecret(path string, from io.Reader) error {
	draft, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(draft.Name())
	_, err = io.CopyN(draft, from, secretSize)
	if err := errors.Join(err, draft.Sync(), draft.Close()); err != nil {
		return err
	}
	if err := os.Link(draft.Name(), path); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
