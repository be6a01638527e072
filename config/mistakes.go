package config

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// Common mistakes are refused with specific messages. Most of them would be valid otherwise and
// fail later, without a hint at the cause.

var templatePattern = regexp.MustCompile(`\$\{[A-Za-z_][A-Za-z0-9_]*[^}]*\}`)

// notTemplated refuses ${…} in a value, which other programs expand.
func notTemplated(text string) error {
	if templatePattern.MatchString(text) {
		return errors.New("contains ${…}, but variables are not expanded: write the value itself, or set the variable of this setting; " +
			"a key is named by `api_key: {env: NAME}`")
	}
	return nil
}

// notQuoted refuses quotes around a variable's value, which some readers of .env files keep.
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
	dollarPattern   = regexp.MustCompile(`^\$[A-Za-z_][A-Za-z0-9_]*$`)
	bearerPattern   = regexp.MustCompile(`(?i)^(authorization:\s*)?bearer\s`)
)

// checkKeyText refuses text that cannot be a key, without showing it.
func checkKeyText(text string) error {
	switch {
	case isQuoted(text):
		return errors.New("the key has quotes around it: leave them out")
	case assignedPattern.MatchString(text):
		return errors.New("the key has a variable's name and = before it: give only the key")
	case bearerPattern.MatchString(text):
		return errors.New("the key has the header's word Bearer before it: give only the key")
	case templatePattern.MatchString(text), dollarPattern.MatchString(text):
		return errors.New("the key contains the name of a variable, but variables are not expanded: give the key itself, or the name of the variable that contains it")
	case strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' }):
		return errors.New("the key contains white space, control characters or characters beyond ASCII")
	}
	return nil
}

// endpointPattern matches endpoints, which are appended to base URLs and so must not end them.
var endpointPattern = regexp.MustCompile(`(?i)/(chat/completions|completions|embeddings|responses|messages|models)$`)

// notEndpoint refuses the URL of an endpoint, which providers' examples often show.
func notEndpoint(u *url.URL) error {
	if end := endpointPattern.FindString(u.Path); end != "" {
		return fmt.Errorf("must end before %q, which is appended to it: %s", end, strings.TrimSuffix(u.String(), end))
	}
	return nil
}

// databaseScheme matches the beginning of a URL or connection string instead of a path.
var databaseScheme = regexp.MustCompile(`(?i)^([a-z][a-z0-9+.-]+)://|^(sqlite3?|file):`)

// notDatabaseURL refuses a URL, or a connection string, in the place of a file's path.
func notDatabaseURL(text string) error {
	scheme := strings.ToLower(databaseScheme.FindString(text))
	switch {
	case strings.HasPrefix(scheme, "postgres"), strings.Contains(text, "password="):
		return errors.New("must be the path of a SQLite file; put the URL of a PostgreSQL database into DATABASE_URL")
	case scheme != "":
		return fmt.Errorf("must be only the path of a SQLite file, such as /data/gateway.db, without %s", strings.TrimSuffix(scheme, "//"))
	}
	return nil
}
