package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ai-gateway/gateway"
)

// kind is how values of a type are written.
type kind[T any] struct {
	read    func(text string) (T, error)   // errors continue a sentence that began with the quoted text: "must be …"
	write   func(T) string                 // as in the file; nil if that is the text that was read
	resolve func(value T, folder string) T // makes it absolute; nil if it is never relative
	shape   schema                         // for editors
	words   string                         // for people
	keep    bool                           // keeps an invalid value too, so that references to it are not faults as well
	secret  bool                           // an invalid value may be a key: it is not shown
}

// must is the error of an invalid value: "must be …".
func must(what string) error { return errors.New("must be " + what) }

// text is a string that matches a pattern; wanted describes it.
func text[T ~string](pattern *regexp.Regexp, wanted string) kind[T] {
	return kind[T]{
		read: func(s string) (T, error) {
			if !pattern.MatchString(s) {
				return T(s), must("a " + wanted)
			}
			return T(s), nil
		},
		shape: schema{Type: types{"string"}, Pattern: pattern.String()}, words: wanted, keep: true,
	}
}

func integer[T ~int | ~int64](low, high int64) kind[T] {
	return kind[T]{
		read: func(s string) (T, error) {
			n, err := strconv.ParseInt(s, 10, 64)
			if err != nil || n < low || n > high {
				return 0, must(fmt.Sprintf("an integer from %d to %d", low, high))
			}
			return T(n), nil
		},
		write: func(n T) string { return strconv.FormatInt(int64(n), 10) },
		shape: schema{Type: types{"integer"}, Minimum: &low, Maximum: &high}, words: fmt.Sprintf("%d to %d", low, high),
	}
}

func boolean() kind[bool] {
	return kind[bool]{read: parseBool, write: strconv.FormatBool, shape: schema{Type: types{"boolean"}}, words: "true or false"}
}

func parseBool(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "true", "1":
		return true, nil
	case "false", "0":
		return false, nil
	}
	return false, must("true or false")
}

const maxModelBytes = 256 // of an id in a request

func modelID() kind[gateway.Model] {
	one, most := 1, maxModelBytes
	return kind[gateway.Model]{read: parseModel, shape: schema{Type: types{"string"}, MinLength: &one, MaxLength: &most}, words: "model id", keep: true}
}

func parseModel(s string) (gateway.Model, error) {
	m := gateway.Model(s)
	switch {
	case s == "" || len(s) > maxModelBytes:
		return m, must(fmt.Sprintf("1 to %d bytes long, as every model id", maxModelBytes))
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) || strings.TrimSpace(s) != s:
		return m, errors.New("must not contain control characters, or begin or end with white space")
	}
	return m, nil
}

// address is an IP address.
func address() kind[string] {
	return kind[string]{
		read: parseAddress, write: func(a string) string { return a }, // also of localhost
		shape: schema{Type: types{"string"}, Pattern: `^(localhost|[0-9A-Fa-f.:]+|\[[0-9A-Fa-f.:]+\])$`}, words: "IP address",
	}
}

func parseAddress(s string) (string, error) {
	if s == "localhost" {
		s = "127.0.0.1"
	}
	ip := net.ParseIP(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if ip == nil {
		return "", must("an IP address, such as 127.0.0.1, or localhost")
	}
	return ip.String(), nil
}

// choice is one of a few values, written as their names.
func choice[T interface {
	~uint8
	String() string
}](all ...T) kind[T] {
	var options []string
	for _, v := range all {
		options = append(options, v.String())
	}
	return kind[T]{
		read: func(s string) (T, error) {
			for _, v := range all {
				if v.String() == s {
					return v, nil
				}
			}
			return 0, must("one of " + strings.Join(options, ", "))
		},
		write: T.String,
		shape: schema{Type: types{"string"}, Enum: options}, words: strings.Join(options, ", "),
	}
}

// promptMode is a choice that may also be written as true or false.
func promptMode() kind[PromptMode] {
	mode := choice(PromptsOff, PromptPreviews, FullPrompts)
	named := mode.read
	mode.read = func(s string) (PromptMode, error) {
		if m, err := named(strings.ToLower(s)); err == nil {
			return m, nil
		}
		switch on, err := parseBool(s); {
		case err != nil:
			return 0, must("one of " + mode.words + ", or true or false")
		case on:
			return PromptPreviews, nil
		}
		return PromptsOff, nil
	}
	return mode
}

func duration(low, high time.Duration) kind[time.Duration] {
	words := fmt.Sprintf("duration from %s to %s", brief(low), brief(high))
	return kind[time.Duration]{
		read: func(s string) (time.Duration, error) {
			d, err := time.ParseDuration(s)
			if err != nil || d < low || d > high {
				return 0, must("a " + words)
			}
			return d, nil
		},
		shape: schema{Type: types{"string"}, Pattern: `^([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+$`}, words: words,
	}
}

// durationOrZero is a duration from a least one on; zero means something of its own.
func durationOrZero(low, high time.Duration) kind[time.Duration] {
	k := duration(low, high)
	k.words = "0s, or a " + k.words
	read := k.read
	k.read = func(s string) (time.Duration, error) {
		if d, err := time.ParseDuration(s); err == nil && d == 0 {
			return 0, nil
		}
		d, err := read(s)
		if err != nil {
			return 0, must(k.words)
		}
		return d, nil
	}
	return k
}

// brief writes a duration without trailing zero units.
func brief(d time.Duration) string {
	text := d.String()
	for _, rest := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, rest) {
			text = text[:len(text)-len("0s")]
		}
	}
	return text
}

var units = map[string]int64{"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}

var sizePattern = regexp.MustCompile(`^([0-9]{1,15})(KiB|MiB|GiB)?$`)

// size is a number of bytes.
func size(low, high int64) kind[int64] {
	words := "size from " + sizeText(low) + " to " + sizeText(high)
	return kind[int64]{
		read: func(s string) (int64, error) {
			n, ok := parseSize(s)
			if !ok || n < low || n > high {
				return 0, must("a " + words + ", or a number of bytes")
			}
			return n, nil
		},
		shape: schema{Type: types{"string", "integer"}, Pattern: sizePattern.String(), Minimum: &low, Maximum: &high},
		words: words + ", or its bytes",
	}
}

// EnvoyMemory reads how much memory an Envoy may use, such as 512MiB.
func EnvoyMemory(text string) (bytes int64, err error) { return envoyMemory().read(text) }

func envoyMemory() kind[int64] { return size(128<<20, 1<<44) }

func parseSize(s string) (bytes int64, ok bool) {
	parts := sizePattern.FindStringSubmatch(s)
	if parts == nil {
		return 0, false
	}
	n, err := strconv.ParseInt(parts[1], 10, 64)
	unit := units[parts[2]]
	return n * unit, err == nil && n <= math.MaxInt64/unit
}

// sizeText writes a size in the largest unit that it is a multiple of.
func sizeText(bytes int64) string {
	text := strconv.FormatInt(bytes, 10)
	for _, unit := range []string{"KiB", "MiB", "GiB"} {
		if n := units[unit]; bytes >= n && bytes%n == 0 {
			text = strconv.FormatInt(bytes/n, 10) + unit
		}
	}
	return text
}

const usdDecimals = 9 // of a dollar in nano-dollars

var usdPattern = regexp.MustCompile(`^([0-9]{1,7})(?:\.([0-9]{1,9}))?$`)

// dollars is an amount of US dollars from 0 to most, exactly.
func dollars(most int64) kind[gateway.Money] {
	none := int64(0)
	return kind[gateway.Money]{
		read: func(s string) (gateway.Money, error) {
			m, ok := parseDollars(s)
			if !ok || m > gateway.Money(most)*gateway.USD {
				return 0, must(fmt.Sprintf("an amount from 0 to %d US dollars with at most %d decimals, such as 2.50", most, usdDecimals))
			}
			return m, nil
		},
		shape: schema{Type: types{"number"}, Minimum: &none, Maximum: &most}, words: "US dollars",
	}
}

func parseDollars(s string) (gateway.Money, bool) {
	parts := usdPattern.FindStringSubmatch(s)
	if parts == nil {
		return 0, false
	}
	nano, err := strconv.ParseInt(parts[1]+(parts[2] + "000000000")[:usdDecimals], 10, 64)
	return gateway.Money(nano), err == nil
}

const maxExpression = 1000 // bytes

// expression is a regular expression, in RE2's syntax so that it takes linear time.
func expression() kind[Expression] {
	one, most := 1, maxExpression
	return kind[Expression]{read: parseExpression, shape: schema{Type: types{"string"}, MinLength: &one, MaxLength: &most}, words: "regular expression"}
}

func parseExpression(s string) (Expression, error) {
	compiled, err := regexp.Compile(s)
	switch {
	case len(s) > maxExpression:
		return Expression{}, must(fmt.Sprintf("at most %d bytes long", maxExpression))
	case err != nil:
		return Expression{}, fmt.Errorf("must be a regular expression (RE2): %w", err)
	case compiled.MatchString(""):
		return Expression{}, errors.New("must not match the empty text, as it would match everywhere")
	}
	return Expression{compiled}, nil
}

// day is the first moment of a day in UTC.
func day() kind[time.Time] {
	return kind[time.Time]{
		read: func(s string) (time.Time, error) {
			t, err := time.Parse(time.DateOnly, s)
			if err != nil {
				return time.Time{}, must("a day, such as 2026-01-31")
			}
			return t, nil
		},
		shape: schema{Type: types{"string"}, Pattern: `^[0-9]{4}-[0-9]{2}-[0-9]{2}$`}, words: "day",
	}
}

// path is the path of a file. In the configuration file it is relative to that file.
func path() kind[string] {
	one := 1
	return kind[string]{
		read: func(s string) (string, error) {
			if s == "" || strings.ContainsFunc(s, unicode.IsControl) {
				return s, must("the path of a file")
			}
			return s, nil
		},
		write: func(p string) string { return p }, // with its folder
		resolve: func(p, folder string) string {
			if filepath.IsAbs(p) {
				return p
			}
			return filepath.Join(folder, p)
		},
		shape: schema{Type: types{"string"}, MinLength: &one}, words: "path", keep: true,
	}
}

// database is the path of a SQLite file. SQLite's name for a database in memory is
// refused, because that would be lost when the process dies.
// Source: https://www.sqlite.org/inmemorydb.html
func database() kind[string] {
	file := path()
	parse := file.read
	file.read = func(s string) (string, error) {
		if s == ":memory:" {
			return s, errors.New("must be the path of a file: leave it out to keep usage only as long as the gateway runs")
		}
		if err := notDatabaseURL(s); err != nil {
			return "", err
		}
		return parse(s)
	}
	return file
}

// baseURL is the base URL of an API.
func baseURL() kind[*url.URL] {
	return kind[*url.URL]{
		read: parseBaseURL, write: (*url.URL).String,
		shape: schema{Type: types{"string"}, Pattern: `^[Hh][Tt][Tt][Pp][Ss]?://[^@?#]+$`}, words: "URL",
	}
}

const anyOrigin = "*"

// nullOrigin is what browsers send for pages without an origin, such as files. Any page can
// give itself this origin.
const nullOrigin = "null"

// webOrigin is an origin as browsers send it, or "*" for any. Pages in apps and extensions have
// their own schemes (app, capacitor, chrome-extension, tauri, vscode-webview and others); those
// of files and sandboxes have the origin "null".
// Source: https://fetch.spec.whatwg.org/#origin-header
func webOrigin() kind[string] {
	return kind[string]{read: parseOrigin, shape: schema{Type: types{"string"}, Pattern: `^(\*|null|[a-z][a-z0-9+.-]*://[^/@?#A-Z]+)$`}, words: "origin", keep: true}
}

// otherOrigin is one of an app or an extension.
var otherOrigin = regexp.MustCompile(`^([a-z][a-z0-9+.-]*)://[a-z0-9._-]+(:[0-9]{1,5})?$`)

func parseOrigin(s string) (string, error) {
	parts := otherOrigin.FindStringSubmatch(s)
	if s == anyOrigin || s == nullOrigin || parts != nil && parts[1] != "http" && parts[1] != "https" {
		return s, nil
	}
	if u, err := parseBaseURL(s); err == nil && u.Scheme+"://"+u.Host == s && !hasOwnPort(u) {
		return s, nil
	}
	return s, must("an origin, such as https://app.example.com or app://localhost: scheme, host in small letters, port unless it is the scheme's own; or null")
}
