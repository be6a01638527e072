package config

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ai-gateway/gateway"
)

// text is a text that fits its field's pattern. One that does not is kept all the
// same, so that what refers to it is no second fault.
type text string

func (t *text) read(s string, f field) error {
	*t = text(s)
	if !f.pattern.MatchString(s) {
		return errors.New("is no " + f.wanted)
	}
	return nil
}

func (t *text) shape(f field) schema {
	return schema{Type: []string{"string"}, Pattern: f.pattern.String(), words: f.wanted}
}

type whole int

func (w *whole) read(s string, f field) error {
	n, err := strconv.Atoi(s)
	if err != nil || int64(n) < f.low || int64(n) > f.high {
		return fmt.Errorf("is no whole number from %d to %d", f.low, f.high)
	}
	*w = whole(n)
	return nil
}

// String is the number as the file would have it.
func (w *whole) String() string { return strconv.Itoa(int(*w)) }

func (w *whole) shape(f field) schema {
	return schema{Type: []string{"integer"}, Minimum: &f.low, Maximum: &f.high, words: fmt.Sprintf("%d to %d", f.low, f.high)}
}

type truth bool

func (t *truth) read(s string, _ field) error {
	switch strings.ToLower(s) {
	case "true", "1":
		*t = true
	case "false", "0":
		*t = false
	default:
		return errors.New("is neither true nor false")
	}
	return nil
}

// String is true or false.
func (t *truth) String() string { return strconv.FormatBool(bool(*t)) }

func (t *truth) shape(field) schema { return schema{Type: []string{"boolean"}, words: "true or false"} }

// modelName is a gateway.Model of a length that the gateway accepts in a request.
type modelName string

const maxModelBytes = 256

func (m *modelName) read(s string, _ field) error {
	*m = modelName(s)
	switch {
	case s == "" || len(s) > maxModelBytes:
		return fmt.Errorf("has not 1 to %d bytes, as every model's id", maxModelBytes)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) || strings.TrimSpace(s) != s:
		return errors.New("is no readable model id: it holds control characters, or begins or ends with white space")
	}
	return nil
}

func (m *modelName) shape(field) schema {
	one, most := 1, maxModelBytes
	return schema{Type: []string{"string"}, MinLength: &one, MaxLength: &most, words: "model id"}
}

// address is an IP address.
type address string

func (a *address) read(s string, _ field) error {
	if s == "localhost" {
		s = "127.0.0.1"
	}
	ip := net.ParseIP(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if ip == nil {
		return errors.New("is neither an IP address, such as 127.0.0.1, nor localhost")
	}
	*a = address(ip.String())
	return nil
}

// String is the address itself, also of localhost.
func (a *address) String() string { return string(*a) }

func (a *address) shape(field) schema {
	return schema{Type: []string{"string"}, Pattern: `^(localhost|[0-9A-Fa-f.:]+|\[[0-9A-Fa-f.:]+\])$`, words: "IP address"}
}

type kind gateway.Kind

var kinds = []gateway.Kind{gateway.OpenAI, gateway.Azure, gateway.Local}

func (k *kind) read(s string, _ field) error {
	for _, known := range kinds {
		if known.String() == s {
			*k = kind(known)
			return nil
		}
	}
	return errors.New("is no kind of backend: it is openai, azure or local")
}

func (k *kind) shape(field) schema {
	shape := schema{Type: []string{"string"}}
	for _, known := range kinds {
		shape.Enum = append(shape.Enum, known.String())
	}
	shape.words = strings.Join(shape.Enum, ", ")
	return shape
}

type duration time.Duration

func (d *duration) read(s string, f field) error {
	n, err := time.ParseDuration(s)
	if err != nil || int64(n) < f.low || int64(n) > f.high {
		return errors.New("is no " + d.words(f) + ", such as " + f.unset)
	}
	*d = duration(n)
	return nil
}

func (d *duration) words(f field) string {
	return fmt.Sprintf("duration from %s to %s", brief(f.low), brief(f.high))
}

// brief is a duration without the zeros behind it.
func brief(nanoseconds int64) string {
	text := time.Duration(nanoseconds).String()
	for _, rest := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, rest) {
			text = text[:len(text)-len("0s")]
		}
	}
	return text
}

func (d *duration) shape(f field) schema {
	return schema{Type: []string{"string"}, Pattern: `^([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+$`, words: d.words(f)}
}

// size is a number of bytes.
type size int64

var units = map[string]int64{"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}

var sizePattern = regexp.MustCompile(`^([0-9]{1,15})(KiB|MiB|GiB)?$`)

func (z *size) read(s string, f field) error {
	parts := sizePattern.FindStringSubmatch(s)
	wrong := fmt.Errorf("is no size from %s to %s, such as %s or a number of bytes", sizeText(f.low), sizeText(f.high), f.unset)
	if parts == nil {
		return wrong
	}
	n, err := strconv.ParseInt(parts[1], 10, 64)
	unit := units[parts[2]]
	if err != nil || n > f.high/unit || n*unit < f.low {
		return wrong
	}
	*z = size(n * unit)
	return nil
}

func (z *size) shape(f field) schema {
	return schema{Type: []string{"string", "integer"}, Pattern: sizePattern.String(), Minimum: &f.low, Maximum: &f.high,
		words: "size from " + sizeText(f.low) + " to " + sizeText(f.high) + ", or its bytes"}
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

// usd is US dollars per million tokens, exactly.
type usd gateway.Money

const (
	maxUSD      = 1_000_000 // a dollar a token
	usdDecimals = 9         // of a dollar in nano-dollars
)

var usdPattern = regexp.MustCompile(`^([0-9]{1,7})(?:\.([0-9]{1,9}))?$`)

func (u *usd) read(s string, f field) error {
	parts := usdPattern.FindStringSubmatch(s)
	if parts == nil {
		return u.wrong(f)
	}
	nano, err := strconv.ParseInt(parts[1]+(parts[2] + "000000000")[:usdDecimals], 10, 64)
	if err != nil || nano > f.high*int64(gateway.USD) {
		return u.wrong(f)
	}
	*u = usd(nano)
	return nil
}

func (u *usd) wrong(f field) error {
	return fmt.Errorf("is no amount from 0 to %d US dollars with at most %d decimals, such as 2.50", f.high, usdDecimals)
}

func (u *usd) shape(f field) schema {
	return schema{Type: []string{"number"}, Minimum: &f.low, Maximum: &f.high, words: "US dollars"}
}

// promptMode is a PromptMode.
type promptMode PromptMode

var promptModes = []PromptMode{PromptsOff, PromptPreviews, FullPrompts}

func (m *promptMode) read(s string, _ field) error {
	lower := strings.ToLower(s)
	for _, known := range promptModes {
		if known.String() == lower {
			*m = promptMode(known)
			return nil
		}
	}
	var on truth
	if on.read(s, field{}) != nil {
		return errors.New("is none of off, preview and full, nor true or false")
	}
	*m = promptMode(PromptsOff)
	if on {
		*m = promptMode(PromptPreviews)
	}
	return nil
}

// String is the mode as the file has it.
func (m *promptMode) String() string { return PromptMode(*m).String() }

func (m *promptMode) shape(field) schema {
	shape := schema{Type: []string{"string"}}
	for _, known := range promptModes {
		shape.Enum = append(shape.Enum, known.String())
	}
	shape.words = strings.Join(shape.Enum, ", ")
	return shape
}

// expression is a regular expression, which takes a time that is linear in the text.
type expression struct{ compiled *regexp.Regexp }

const maxExpression = 1000 // bytes

func (e *expression) read(s string, _ field) error {
	compiled, err := regexp.Compile(s)
	switch {
	case len(s) > maxExpression:
		return fmt.Errorf("is longer than %d bytes", maxExpression)
	case err != nil:
		return fmt.Errorf("is no regular expression (RE2): %w", err)
	case compiled.MatchString(""):
		return errors.New("matches nothing at all, and so everywhere")
	}
	e.compiled = compiled
	return nil
}

// String is the expression as it was written.
func (e *expression) String() string {
	if e.compiled == nil {
		return ""
	}
	return e.compiled.String()
}

func (e *expression) shape(field) schema {
	one, most := 1, maxExpression
	return schema{Type: []string{"string"}, MinLength: &one, MaxLength: &most, words: "regular expression"}
}

// day is the first moment of a day in UTC.
type day time.Time

func (d *day) read(s string, _ field) error {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return errors.New("is no day, such as 2026-01-31")
	}
	*d = day(t)
	return nil
}

func (d *day) shape(field) schema {
	return schema{Type: []string{"string"}, Pattern: `^[0-9]{4}-[0-9]{2}-[0-9]{2}$`, words: "day"}
}

// path is the path of a file. In the configuration file it is relative to that file.
type path string

func (p *path) read(s string, _ field) error {
	*p = path(s)
	if s == "" || strings.ContainsFunc(s, unicode.IsControl) {
		return errors.New("is no path of a file")
	}
	return nil
}

// resolve makes a path of the configuration file absolute.
func (p *path) resolve(folder string) {
	if !filepath.IsAbs(string(*p)) {
		*p = path(filepath.Join(folder, string(*p)))
	}
}

// String is the path with its folder.
func (p *path) String() string { return string(*p) }

func (p *path) shape(field) schema {
	one := 1
	return schema{Type: []string{"string"}, MinLength: &one, words: "path"}
}

// database is the path of a SQLite file.
type database struct{ path }

// read refuses SQLite's name for a database in memory, which would be lost with the
// process that should keep it.
// Source: https://www.sqlite.org/inmemorydb.html
func (d *database) read(s string, f field) error {
	if s == ":memory:" {
		return errors.New("is no path of a file: leave it out to keep usage only as long as the gateway runs")
	}
	return d.path.read(s, f)
}
