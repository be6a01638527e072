package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"

	"ai-gateway/auth"
	"ai-gateway/config"
	"ai-gateway/gateway"
	"ai-gateway/store"
	"ai-gateway/supervisor"
	"ai-gateway/usage/wal"
)

// keyIDSecret is the name of the secret that key ids are made with, where gateways share it.
const keyIDSecret = "key-id-secret"

const (
	openWithin  = time.Minute      // that the tables open at the start, while others bring them up to date
	agreeWithin = 15 * time.Second // that a database answers at the start
)

// storeOf is where a configuration has the tables; without a database, in the run's own folder.
func storeOf(cfg config.Config, files runFiles) store.Config {
	switch {
	case cfg.DatabaseURL != "":
		return store.Config{URL: string(cfg.DatabaseURL)}
	case cfg.DatabasePath != "":
		return store.Config{Path: cfg.DatabasePath}
	}
	return store.Config{Path: files.database()}
}

// persists reports whether a configuration keeps usage beyond a run.
func persists(cfg config.Config) bool { return cfg.DatabasePath != "" || cfg.DatabaseURL != "" }

// stateOf is the folder of what outlives a run.
func stateOf(cfg config.Config, getenv func(string) string) (stateFiles, error) {
	folder := cfg.StateDir
	switch {
	case folder != "":
	case cfg.DatabasePath != "":
		folder = cfg.DatabasePath + ".state"
	default:
		folder = defaultState(getenv)
	}
	abs, err := filepath.Abs(folder)
	if err != nil {
		return "", fmt.Errorf("finding the state folder %q: %w", folder, err)
	}
	return stateFiles(abs), nil
}

// defaultState is where programs keep such files, or the working directory where there is no
// home, as in many containers.
// Source: https://specifications.freedesktop.org/basedir-spec/latest/
func defaultState(getenv func(string) string) string {
	if base := getenv("XDG_STATE_HOME"); filepath.IsAbs(base) {
		return filepath.Join(base, "ai-gateway")
	}
	if home := getenv("HOME"); filepath.IsAbs(home) && home != "/" {
		return filepath.Join(home, ".local", "state", "ai-gateway")
	}
	return "ai-gateway.state"
}

// lockState returns the folder of what outlives this run, locked: in the run's own folder where
// nothing shall outlive it.
func (w world) lockState(cfg config.Config, files runFiles) (stateFiles, func(), error) {
	if !persists(cfg) {
		state := stateFiles(files.path("state"))
		release, err := supervisor.LockState(string(state), w.warn)
		return state, release, err
	}
	state, err := stateOf(cfg, w.getenv)
	if err != nil {
		return "", nil, err
	}
	if cfg.StateDir == "" && cfg.DatabaseURL != "" { // the folders above it are nobody's choice
		if err := os.MkdirAll(filepath.Dir(string(state)), 0o700); err != nil {
			return "", nil, fmt.Errorf("making the state folder: %w: set AI_GATEWAY_STATE_DIR to a folder that this user may write to", err)
		}
	}
	release, err := supervisor.LockState(string(state), w.warn)
	return state, release, withFolderAdvice(err, cfg, filepath.Dir(string(state)))
}

// warn prints what does not keep the gateway from running.
func (w world) warn(text string) { fmt.Fprintln(w.stderr, "warning:", text) }

// withFolderAdvice says what helps where the state folder cannot be made.
func withFolderAdvice(err error, cfg config.Config, folder string) error {
	if err == nil {
		return nil
	}
	about := fmt.Sprintf("DATABASE_PATH %q", cfg.DatabasePath)
	if cfg.StateDir != "" || cfg.DatabaseURL != "" {
		about = fmt.Sprintf("AI_GATEWAY_STATE_DIR %q", cfg.StateDir)
	}
	var at *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: %w: make the folder %q first", about, err, folder)
	case errors.As(err, &at) && at.Op == "mkdir" && (errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)):
		return fmt.Errorf("%s: %w: let this user write to the folder %q, or name another one", about, err, folder)
	}
	return err
}

// prepareStorage reports early what serve, which runs on without tables, would only tell in its
// log: that the write-ahead log or the tables cannot be opened. It also brings them up to date. A database that this gateway
// has used before may be away: rows wait for it.
func (w world) prepareStorage(ctx context.Context, cfg config.Config, state stateFiles) error {
	if err := wal.CheckRoom(state.wal()); err != nil {
		return err
	}
	if !persists(cfg) {
		return nil
	}
	used := wasShared(cfg.DatabaseURL, state)
	err := w.prepareTables(ctx, cfg, state)
	if used && store.IsAway(err) {
		w.warn(fmt.Sprintf("the database cannot be reached: rows wait for it, and requests with a gateway key are refused until their keys can be read: %v", err))
		return nil
	}
	return err
}

func (w world) prepareTables(ctx context.Context, cfg config.Config, state stateFiles) error {
	ctx, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	mine := storeOf(cfg, "")
	mine.Exclusive = true
	tables, err := store.Open(ctx, mine)
	if err != nil {
		return err
	}
	err = errors.Join(shareSecret(ctx, cfg.DatabaseURL, state, tables), refuseStranded(ctx, tables, state))
	return errors.Join(err, tables.Close())
}

// secretOf is the file of the secret that key ids are made with. One that is shared belongs to
// its database.
func secretOf(url config.DatabaseURL, state stateFiles) string {
	if url == "" {
		return state.secret()
	}
	sum := sha256.Sum256([]byte(url.String()))
	return filepath.Join(string(state), "key-id-"+hex.EncodeToString(sum[:4])+".secret")
}

// wasShared reports whether a shared database has answered this gateway before.
func wasShared(url config.DatabaseURL, state stateFiles) bool {
	_, err := os.Stat(secretOf(url, state))
	return url != "" && err == nil
}

// shareSecret has all gateways of a shared database make the same ids of the same keys.
func shareSecret(ctx context.Context, url config.DatabaseURL, state stateFiles, tables *store.Store) error {
	if url == "" || wasShared(url, state) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, agreeWithin)
	defer cancel()
	return auth.ShareSecret(secretOf(url, state), state.secret(), func(proposed []byte) ([]byte, error) {
		return tables.Agree(ctx, keyIDSecret, proposed)
	})
}

// refuseStranded refuses another state folder than before while the one before holds requests
// that have no row, as nobody would write them.
func refuseStranded(ctx context.Context, tables *store.Store, state stateFiles) error {
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("finding the name of this machine: %w", err)
	}
	folders, err := tables.StateFolders(ctx, host)
	if err != nil {
		return err
	}
	for _, folder := range folders {
		if folder == string(state) {
			continue
		}
		if err := refuseStrandedIn(ctx, tables, stateFiles(folder), state); err != nil {
			return err
		}
	}
	return nil
}

func refuseStrandedIn(ctx context.Context, tables *store.Store, before, now stateFiles) error {
	if pid, err := supervisor.StateHolder(string(before)); err != nil || pid != "" {
		return err // another gateway uses it
	}
	var intents []*gateway.Intent
	err := wal.ReadFolder(before.wal(), func(r wal.Record) {
		if r.Kind != wal.IntentRecord && r.Kind != wal.OrphanRecord {
			return
		}
		if i, err := r.Intent(); err == nil {
			intents = append(intents, i)
		}
	})
	if err != nil {
		return err
	}
	n, err := tables.Unwritten(ctx, intents)
	if err != nil || n == 0 {
		return err
	}
	return fmt.Errorf("the state folder was %q before, and holds %s not in the database yet: start the gateway once with AI_GATEWAY_STATE_DIR=%s and end it, "+
		"or move that folder to %q", before, counted(n, "request that is", "requests that are"), before, now)
}

// announced is a store that is told which gateway writes to it, before that asks how far it is.
type announced struct {
	*store.Store
	state  stateFiles
	before func(context.Context) // what is done before the first row is written
}

// Position announces the writer, and returns up to where its access log is in rows.
func (a announced) Position(ctx context.Context, writer uuid.UUID) (gateway.LogPosition, error) {
	host, err := os.Hostname()
	if err == nil {
		err = a.Announce(ctx, writer, host, string(a.state), time.Now())
	}
	if err != nil {
		return gateway.LogPosition{}, err
	}
	a.before(ctx)
	return a.Store.Position(ctx, writer)
}

// readURL reads the URL of the database from the file that run has written it to.
func readURL(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("reading the URL of the database: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}
