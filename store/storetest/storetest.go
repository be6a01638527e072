package storetest

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/google/uuid"
	_ "github.com/lib/pq" // the driver "postgres"
)

// serverVariable names, in the environment of a test binary, the server that its tests share.
const serverVariable = "STORETEST_POSTGRES_URL"

// Run runs the tests of a package with a server that they share. Its TestMain is
//
//	func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }
func Run(m *testing.M) int {
	server, err := NewServer()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := server.Remove(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	if err := os.Setenv(serverVariable, server.URL("postgres")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// NewDatabase makes an empty database on the shared server, and returns its URL.
func NewDatabase(t testing.TB) string {
	t.Helper()
	shared := os.Getenv(serverVariable)
	if shared == "" {
		t.Fatal("there is no server: the package's TestMain does not call storetest.Run")
	}
	name := "t_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	if err := execute(t.Context(), shared, "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := execute(context.WithoutCancel(t.Context()), shared, "DROP DATABASE "+name+" WITH (FORCE)")
		if err != nil { // on a busy machine its connections may not end in time; it goes with the server
			t.Log(err)
		}
	})
	u, err := url.Parse(shared)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

func execute(ctx context.Context, at, statement string) error {
	db, err := open(at)
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

func open(at string) (*sql.DB, error) { return sql.Open("postgres", at) }

// Start starts a server for this test, with an empty database, and returns its URL.
func Start(t testing.TB, settings ...string) (*Server, string) {
	t.Helper()
	server, err := NewServer(settings...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Remove(); err != nil {
			t.Error(err)
		}
	})
	if err := server.Exec("postgres", "CREATE DATABASE gateway"); err != nil {
		t.Fatal(err)
	}
	return server, server.URL("gateway")
}
