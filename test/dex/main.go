// Command dex is a real Dex, an OpenID provider, for tests: it listens on loopback, keeps all in
// memory, and knows the people and the client that it is told on standard input. It prints its
// issuer when it answers, and ends with its standard input.
//
// It is a module of its own, so that the gateway depends on nothing of it. Dex's own command
// is not built, as a published version of its module for gRPC that fits is missing.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/dexidp/dex/server"
	"github.com/dexidp/dex/server/connectors"
	"github.com/dexidp/dex/server/signer"
	"github.com/dexidp/dex/server/tokens"
	"github.com/dexidp/dex/storage"
	"github.com/dexidp/dex/storage/memory"
	"golang.org/x/crypto/bcrypt"
)

// setup is what standard input says, as JSON, before anything else.
type setup struct {
	Address   string   `json:"address"` // on loopback; "" is a free port
	Client    string   `json:"client"`
	Secret    string   `json:"secret"`
	Redirects []string `json:"redirects"`
	People    []person `json:"people"`
}

type person struct {
	Email      string   `json:"email"`
	Password   string   `json:"password"`
	Name       string   `json:"name"`
	ID         string   `json:"id"`
	Unverified bool     `json:"unverified"`
	Groups     []string `json:"groups"`
}

func main() {
	if err := run(context.Background(), os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "dex:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, in io.Reader, out io.Writer) error {
	var s setup
	d := json.NewDecoder(in)
	if err := d.Decode(&s); err != nil {
		return fmt.Errorf("reading what to serve: %w", err)
	}
	if s.Address == "" {
		s.Address = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", s.Address)
	if err != nil {
		return err
	}
	issuer := "http://" + l.Addr().String() + "/dex"
	handler, err := newDex(ctx, issuer, s)
	if err != nil {
		return err
	}
	go func() { // ends with its parent, whatever becomes of that
		_, _ = io.Copy(io.Discard, io.MultiReader(d.Buffered(), in))
		l.Close()
	}()
	fmt.Fprintln(out, issuer)
	if err := http.Serve(l, handler); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

const idTokensValidFor = 10 * time.Minute

func newDex(ctx context.Context, issuer string, s setup) (http.Handler, error) {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	kept, err := keep(memory.New(log), s, log)
	if err != nil {
		return nil, err
	}
	keys, err := (&signer.LocalConfig{KeysRotationPeriod: "6h"}).Open(ctx, kept, idTokensValidFor, time.Now, log)
	if err != nil {
		return nil, err
	}
	refresh, err := tokens.NewRefreshTokenPolicy(log, false, "", "", "")
	if err != nil {
		return nil, err
	}
	return server.NewServer(ctx, server.Config{
		Issuer: issuer, Storage: kept, SkipApprovalScreen: true, Logger: log, Signer: keys, IDTokensValidFor: idTokensValidFor,
		RefreshTokenPolicy: refresh, Now: time.Now,
	})
}

// keep is a storage that knows the client and the people.
func keep(kept storage.Storage, s setup, log *slog.Logger) (storage.Storage, error) {
	var passwords []storage.Password
	for _, p := range s.People {
		hash, err := bcrypt.GenerateFromPassword([]byte(p.Password), bcrypt.MinCost+6) // the least that Dex takes
		if err != nil {
			return nil, err
		}
		verified := !p.Unverified
		passwords = append(passwords, storage.Password{Email: p.Email, Hash: hash, Username: p.Name, Name: p.Name, UserID: p.ID, EmailVerified: &verified, Groups: p.Groups})
	}
	kept = storage.WithStaticPasswords(kept, passwords, log)
	kept = storage.WithStaticClients(kept, []storage.Client{{ID: s.Client, Secret: s.Secret, Name: "AI Gateway", RedirectURIs: s.Redirects}})
	local := storage.Connector{ID: connectors.LocalConnector, Name: "Email", Type: connectors.LocalConnector}
	return storage.WithStaticConnectors(kept, []storage.Connector{local}), nil
}
