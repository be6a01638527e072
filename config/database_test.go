package config

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestTheURLOfADatabaseShowsNoPassword(t *testing.T) {
	for text, want := range map[string]string{
		"postgres://user:hunter2@db.example.com:5432/gateway":                     "postgres://user:…@db.example.com:5432/gateway",
		"postgresql://db/gateway?sslmode=verify-full":                             "postgresql://db/gateway?sslmode=verify-full",
		"postgres://user@one:5432,two:5432/gateway?target_session_attrs=any":      "postgres://user@one:5432,two:5432/gateway?target_session_attrs=any",
		"postgres://user@/gateway?host=/run/postgresql&password=hunter2":          "postgres://user@/gateway?…",
		"postgres://user@db/gateway?sslpassword=hunter2&sslmode=verify-full":      "postgres://user@db/gateway?…",
		"postgres://user@db/gateway?sslmode=verify-full&password=hunter2%zz":      "postgres://user@db/gateway?…",
		"postgres://:hunter2@db/gateway":                                          "postgres://:…@db/gateway",
		"postgres://a%40b:hunter%3A2@db/gateway?application_name=one&sslmode=off": "postgres://a%40b:…@db/gateway?application_name=one&sslmode=off",
	} {
		c := read(t, "DATABASE_URL", text)
		if got := c.DatabaseURL.String(); got != want || string(c.DatabaseURL) != text {
			t.Errorf("%q is shown as %q, want %q", string(c.DatabaseURL), got, want)
		}
		encoded, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		shownConfig, err := Show("", env("DATABASE_URL", text))
		if err != nil {
			t.Fatal(err)
		}
		for _, shown := range []string{fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c), string(encoded), c.Summary(), string(shownConfig)} {
			if strings.Contains(shown, "hunter") {
				t.Errorf("the password is shown: %s", shown)
			}
		}
		if c.Storage() != "PostgreSQL (persistent)" {
			t.Errorf("storage is %q", c.Storage())
		}
	}
}

func TestWhatIsNoURLOfADatabaseIsRefusedAndNotShown(t *testing.T) {
	for _, text := range []string{"mysql://user:hunter2@db/gateway", "postgres://user:hunter2@db", "postgres://user:hunter2@db/", "host=db password=hunter2",
		"postgres://user:hunter2@a@db/gateway", "postgres://db/gateway#hunter2", "postgres://user:hun/ter2@db/gateway?x"} {
		if _, err := Load("", env("DATABASE_URL", text)); err == nil || !strings.Contains(err.Error(), "postgres://user:password@host:5432/database") || strings.Contains(err.Error(), "ter2") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestStorageIsInOnePlace(t *testing.T) {
	path := file(t, "storage: {database_url: \"postgres://user:hunter2@db/gateway\"}\n")
	for name, c := range map[string]struct {
		path string
		env  []string
		want string
	}{
		"both":                     {"", []string{"DATABASE_URL", "postgres://db/gateway", "DATABASE_PATH", "usage.db"}, "must be left out if `database_path` is set (DATABASE_PATH)"},
		"a password in the file":   {path, nil, "must not contain a password here"},
		"a folder without storage": {"", []string{"AI_GATEWAY_STATE_DIR", "/var/lib/ai-gateway"}, "set DATABASE_PATH or DATABASE_URL as well"},
	} {
		if _, err := Load(c.path, env(c.env...)); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if c, err := Load(path, env("DATABASE_URL", "postgres://user:hunter3@db/gateway", "AI_GATEWAY_STATE_DIR", "/s")); err != nil || string(c.DatabaseURL) != "postgres://user:hunter3@db/gateway" || c.StateDir != "/s" {
		t.Errorf("the variable does not win: %v, %v", c.DatabaseURL, err)
	}
}
