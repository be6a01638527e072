package config

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
)

// DatabaseURL is the URL of a PostgreSQL database, "" for none. Printing it shows no password.
type DatabaseURL string

// String is the URL without what may be secret.
func (u DatabaseURL) String() string {
	if u == "" {
		return ""
	}
	rest := databaseURLPattern.FindStringSubmatch(string(u))
	if rest == nil {
		return hidden
	}
	who, query := rest[2], rest[5]
	if name, _, hasPassword := strings.Cut(who, ":"); hasPassword {
		who = name + ":" + hidden
	}
	if who != "" {
		who += "@"
	}
	if queryIsSecret(query) {
		query = hidden
	}
	if query != "" {
		query = "?" + query
	}
	return rest[1] + "://" + who + rest[3] + "/" + rest[4] + query
}

// GoString hides the password from %#v.
func (u DatabaseURL) GoString() string { return `config.DatabaseURL("` + u.String() + `")` }

// MarshalText hides it from encoders.
func (u DatabaseURL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// hasPassword reports whether the URL itself holds one.
func (u DatabaseURL) hasPassword() bool {
	rest := databaseURLPattern.FindStringSubmatch(string(u))
	if rest == nil {
		return false
	}
	return strings.Contains(rest[2], ":") || queryIsSecret(rest[5])
}

func queryIsSecret(text string) bool {
	query, err := url.ParseQuery(text)
	return err != nil || query.Has("password") || query.Has("sslpassword")
}

// databaseURLPattern matches the scheme, the user, the hosts, the database and the query. There
// may be several hosts, or none if the query names a socket's folder.
// Source: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
var databaseURLPattern = regexp.MustCompile(`^(postgres(?:ql)?)://(?:([^/@?#]*)@)?([^/@?#]*)/([^/@?#]+)(?:\?([^#]*))?$`)

func databaseURL() kind[DatabaseURL] {
	return kind[DatabaseURL]{
		read: func(s string) (DatabaseURL, error) {
			if !databaseURLPattern.MatchString(s) {
				return "", errors.New("must be the URL of a PostgreSQL database, postgres://user:password@host:5432/database, with special characters in it percent-encoded")
			}
			return DatabaseURL(s), nil
		},
		write: DatabaseURL.String,
		shape: schema{Type: types{"string"}, Pattern: `^postgres(ql)?://([^:/@?#]*@)?[^/@?#]*/[^/@?#]+(\?[^#]*)?$`}, words: "URL of PostgreSQL", secret: true,
	}
}

// checkStorage refuses two places for the tables, a password in the file, and a state folder
// without a database.
func (r *reader) checkStorage(d *document) {
	url, path, folder := r.said[&d.DatabaseURL], r.said[&d.DatabasePath], r.said[&d.StateDir]
	if url.isSaid() && path.isSaid() {
		r.fault(url.place, "must be left out if `database_path` is set (%s): the tables are in one database", r.source(path.place))
	}
	if url.from == inFile && d.DatabaseURL.hasPassword() {
		r.fault(url.place, "must not contain a password here, because files are copied and shown: set DATABASE_URL, or give the password in PGPASSWORD or PGPASSFILE")
	}
	if folder.isSaid() && !url.isSaid() && !path.isSaid() {
		r.fault(folder.place, "must be left out if usage does not persist: set DATABASE_PATH or DATABASE_URL as well")
	}
}
