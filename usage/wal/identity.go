package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"
)

const identityName = "identity"

// identify returns the identity of the log in a folder, and makes one if there is none. An
// unreadable one is replaced: it only identifies the position in the access log, and reading
// that again makes no second rows.
func identify(dir string, log *slog.Logger) (uuid.UUID, error) {
	path := filepath.Join(dir, identityName)
	text, err := os.ReadFile(path)
	if err == nil {
		id, fault := uuid.Parse(strings.TrimSpace(string(text)))
		if fault == nil {
			return id, nil
		}
		log.Warn("the identity of the write-ahead log is unreadable and was replaced", "file", path, "error", fault)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return uuid.UUID{}, fmt.Errorf("reading the identity: %w", err)
	}
	id, err := uuid.NewRandom()
	if err == nil {
		err = replaceFile(path, id.String()+"\n")
	}
	if err != nil {
		return uuid.UUID{}, fmt.Errorf("making the identity: %w", err)
	}
	return id, nil
}

// replaceFile writes a file completely or not at all.
func replaceFile(path, text string) error {
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
