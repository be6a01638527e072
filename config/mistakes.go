package config

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// What is easily mistaken is refused with a text of its own: most of it would be valid, and fail
// later, where nothing tells why.

var templatePattern = regexp.MustCompile(`\$\{[A-Za-z_][A-Za-z0-9_]*[^}]*\}`)

// notTemplated refuses the reference to a variable in a value, which other programs fill in.
func notTemplated(text string) error {
	if templatePattern.MatchString(text) {
		return errors.New("holds ${…}, and variables are not filled into values: write the value itself, or set the variable of this setting; " +
			"a key is named by `api_key: {env: NAME}`")
	}
	return nil
}

// notQuoted refuses quotes around a variable's value, which some programs hand on: those that
// read files of variables as they are.
func notQuoted(text string) error {
	if isQuoted(text) {
		return errors.New("has quotes around it: leave them out")
	}
	return nil
}

func isQuoted(text string) bool {
	return len(text) > 1 && (text[0] == '"' || text[0] == '\'') && text[len(text)-1] == text[0]
}

var (
	assignedPattern = regexp.MustCompile(`^(export\s+)?[A-Z_][A-Z0-9_]*=[^=]`)
	bearerPattern   = regexp.MustCompile(`(?i)^(authorization:\s*)?bearer\s`)
)

// checkKeyText refuses what no key is. No fault shows it.
func checkKeyText(text string) error {
	switch {
	case isQuoted(text):
		return errors.New("the key has quotes around it: leave them out")
	case assignedPattern.MatchString(text):
		return errors.New("the key has a variable's name and = before it: give the key alone")
	case bearerPattern.MatchString(text):
		return errors.New("the key has the header's word Bearer before it: give the key alone")
	case templatePattern.MatchString(text):
		return errors.New("the key holds ${…}, and variables are not filled in: give the key itself, or the name of the variable that holds it")
	case strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' }):
		return errors.New("the key holds characters that no key has (white space, control characters or beyond ASCII)")
	}
	return nil
}

// endpointPattern is what paths of base URLs do not end in: it is appended to them.
var endpointPattern = regexp.MustCompile(`(?i)/(chat/completions|completions|embeddings|responses|messages|models)$`)

// notEndpoint refuses the URL of an endpoint, as providers' examples show it.
func notEndpoint(u *url.URL) error {
	if end := endpointPattern.FindString(u.Path); end != "" {
		return fmt.Errorf("must end before %q, which is appended to it: %s", end, strings.TrimSuffix(u.String(), end))
	}
	return nil
}

// databaseScheme is what a path does not begin with.
var databaseScheme = regexp.MustCompile(`(?i)^([a-z][a-z0-9+.-]+)://|^(sqlite3?|file):`)

// notDatabaseURL refuses a URL, or a connection string, in the place of a file's path.
func notDatabaseURL(text string) error {
	scheme := strings.ToLower(databaseScheme.FindString(text))
	switch {
	case strings.HasPrefix(scheme, "postgres"), strings.Contains(text, "password="):
		return errors.New("must be the path of a SQLite file; the URL of a PostgreSQL database goes into DATABASE_URL")
	case scheme != "":
		return fmt.Errorf("must be the path of a SQLite file alone, such as /data/gateway.db, without %s", strings.TrimSuffix(scheme, "//"))
	}
	return nil
}
