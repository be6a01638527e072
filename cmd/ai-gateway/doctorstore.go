package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"ai-gateway/config"
	"ai-gateway/store"
	"ai-gateway/supervisor"
)

const (
	// probeSize is the disk space that a start needs: a segment of the write-ahead log and its spare.
	probeSize = 16 << 20
	// databaseAnswersWithin is how long a database may take to answer.
	databaseAnswersWithin = 10 * time.Second
)

// checkStore passes if a gateway can open its tables and write to them, and if its state folder
// has space and is not in use, except by a gateway that answers.
func (w world) checkStore(ctx context.Context, cfg config.Config, answers bool) finding {
	f := finding{about: "store", good: cfg.Storage()}
	switch {
	case cfg.DatabaseURL != "":
		f.good += " " + cfg.DatabaseURL.String()
		f.hint, f.err = checkPostgres(ctx, cfg)
	case cfg.DatabasePath != "":
		f.good += " " + cfg.DatabasePath
		f.hint, f.err = checkSQLite(ctx, cfg)
	default:
		f.hint = "usage is gone when the gateway ends; set DATABASE_PATH to a file to keep it"
		return f
	}
	if f.err == nil {
		f.hint, f.err = w.checkState(cfg, answers)
	}
	return f
}

func checkPostgres(ctx context.Context, cfg config.Config) (hint string, err error) {
	ctx, cancel := context.WithTimeout(ctx, databaseAnswersWithin)
	defer cancel()
	if err := store.Check(ctx, storeOf(cfg, "")); err != nil {
		return "start it, make room on its disk, let this user make tables there, or look at DATABASE_URL: host, port, user, password, sslmode and the name of the database", err
	}
	return "", nil
}

func checkSQLite(ctx context.Context, cfg config.Config) (hint string, err error) {
	if hint, err := tryFolder(filepath.Dir(cfg.DatabasePath), "DATABASE_PATH"); err != nil {
		return hint, err
	}
	if hint, err := isDatabase(cfg.DatabasePath); err != nil {
		return hint, err
	}
	if err := store.Check(ctx, storeOf(cfg, "")); err != nil {
		return "let this user write to the file, or set DATABASE_PATH to another one", err
	}
	return "", nil
}

// tryFolder finds a folder in which no file can be created or filled, for example on a full disk.
func tryFolder(dir, setting string) (hint string, err error) {
	probe, err := os.CreateTemp(dir, ".ai-gateway-doctor-*")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "make the folder", fmt.Errorf("writing to the folder of %s: %w", setting, err)
	case err != nil && !isFull(err):
		return "let this user write to the folder, or name another one", fmt.Errorf("writing to the folder of %s: %w", setting, err)
	}
	if err == nil {
		defer os.Remove(probe.Name())
		err = fill(probe)
	}
	if err != nil {
		return "free some space on that disk, or set " + setting + " to a place on another one", fmt.Errorf("reserving the %d MiB that a gateway needs: %w", probeSize>>20, err)
	}
	return "", nil
}

func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// fill finds a full disk, on which empty files can still be created.
func fill(probe *os.File) error {
	_, err := probe.Write(make([]byte, probeSize))
	return errors.Join(err, probe.Close())
}

// checkState finds a state folder that cannot be used.
func (w world) checkState(cfg config.Config, answers bool) (hint string, err error) {
	state, err := stateOf(cfg, w.getenv)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(string(state))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		parent := filepath.Dir(string(state))
		if cfg.StateDir == "" && cfg.DatabaseURL != "" { // lockState makes all of them
			parent = parentThatIs(parent)
		}
		if hint, err := tryFolder(parent, "AI_GATEWAY_STATE_DIR"); err != nil {
			return hint, err
		}
	case err != nil:
		return "set AI_GATEWAY_STATE_DIR to a folder that this user may write to", err
	case !info.IsDir():
		return "move it away, or set AI_GATEWAY_STATE_DIR to another place", fmt.Errorf("the state folder %q is a file", state)
	default:
		if hint, err := tryFolder(string(state), "AI_GATEWAY_STATE_DIR"); err != nil {
			return hint, err
		}
	}
	if answers {
		return "", nil
	}
	return stateFree(state)
}

// parentThatIs returns the nearest existing folder above a path.
func parentThatIs(path string) string {
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			return dir
		}
	}
}

// stateFree returns an error and a hint if a process has locked the state folder.
func stateFree(state stateFiles) (hint string, err error) {
	holder, err := supervisor.StateHolder(string(state))
	if err != nil || holder == "" {
		return "", err
	}
	return "end it, or set DATABASE_PATH or AI_GATEWAY_STATE_DIR to another place", fmt.Errorf("process %s uses the state folder %q", holder, state)
}

// isDatabase returns an error and a hint if the file at a path is not a SQLite database. An
// empty file becomes one.
// Source: https://www.sqlite.org/fileformat2.html#magic_header_string
func isDatabase(path string) (hint string, err error) {
	const magic = "SQLite format 3\x00"
	hint = "set DATABASE_PATH to a file that is a database or not there yet"
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return hint, err
	}
	defer f.Close()
	begins := make([]byte, len(magic))
	n, err := io.ReadFull(f, begins)
	switch {
	case errors.Is(err, io.EOF), string(begins) == magic:
		return "", nil
	case n > 0:
		return hint, fmt.Errorf("%q is not a SQLite database: it begins with %q", path, begins[:n])
	}
	return hint, err
}
