package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// TagsHeader is the header with a request's own tags, "team=a, feature=b". It reaches no provider.
const TagsHeader = "x-gateway-tags"

// Bounds of tags: of a request, and likewise of a key.
const (
	MaxTags     = 16
	MaxTagName  = 63  // characters
	MaxTagValue = 128 // bytes of a value in a request
	maxTags     = 4096
)

// ParseTags reads a request's tags. Its error states the rule.
func ParseTags(header string) (map[string]string, error) {
	if len(header) > maxTags {
		return nil, fmt.Errorf("must have at most %d bytes", maxTags)
	}
	tags := map[string]string{}
	for pair := range strings.SplitSeq(header, ",") {
		name, value, ok := strings.Cut(strings.Trim(pair, " \t"), "=")
		name, value = strings.TrimRight(name, " \t"), strings.TrimLeft(value, " \t")
		switch _, twice := tags[name]; {
		case !ok || value == "":
			return nil, errors.New("must be pairs such as team=a, feature=b")
		case !IsTagName(name):
			return nil, fmt.Errorf("must have names of a-z 0-9 _ . - with at most %d characters", MaxTagName)
		case twice:
			return nil, fmt.Errorf("has %s twice: each name must be unique", name)
		case len(value) > MaxTagValue || strings.ContainsFunc(value, notPrintable):
			return nil, fmt.Errorf("must have values of 1 to %d printable ASCII characters without commas", MaxTagValue)
		case strings.Contains(value, GatewayKeyPrefix):
			return nil, errors.New("must not contain a key")
		}
		if tags[name] = value; len(tags) > MaxTags {
			return nil, fmt.Errorf("must have at most %d pairs", MaxTags)
		}
	}
	return tags, nil
}

func notPrintable(c rune) bool { return c < ' ' || c > '~' }

// IsTagName reports whether a text may be the name of a tag.
func IsTagName(name string) bool {
	first := strings.IndexFunc(name, func(c rune) bool { return !isLowerOrDigit(c) })
	return name != "" && len(name) <= MaxTagName && first != 0 &&
		!strings.ContainsFunc(name, func(c rune) bool { return !isLowerOrDigit(c) && !strings.ContainsRune("_.-", c) })
}

func isLowerOrDigit(c rune) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }

// WithOwnTags returns a request's tags and those of its key, which take precedence, as a JSON
// object. Own is such an object already, or "" for none.
func WithOwnTags(sent map[string]string, own string) string {
	if len(sent) == 0 {
		return own
	}
	if own != "" {
		if err := json.Unmarshal([]byte(own), &sent); err != nil { // it was written by us
			return own
		}
	}
	text, err := json.Marshal(sent)
	if err != nil {
		panic(err) // texts always marshal
	}
	return string(text)
}
