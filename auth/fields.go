package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ai-gateway/gateway"
)

// fields are the settings of a key in a request: the values of a JSON object by name, in order. The
// API and the command line both use them.
type fields []field

type field struct {
	name  string
	value json.RawMessage
}

// textField is a field with a string value.
func textField(name, text string) field {
	value, err := json.Marshal(text)
	if err != nil {
		panic(err) // strings always marshal
	}
	return field{name, value}
}

// readFields reads a JSON object. Unlike encoding/json it refuses a duplicate name, because one
// reader would take the first and another the last.
func readFields(body []byte) (fields, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return nil, bad("", "The body must be a JSON object.")
	}
	var all fields
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, bad("", "The body is not valid JSON.")
		}
		f := field{name: fmt.Sprint(name)}
		if err := d.Decode(&f.value); err != nil {
			return nil, bad("", "The body is not valid JSON.")
		}
		if slices.ContainsFunc(all, func(other field) bool { return other.name == f.name }) {
			return nil, bad(f.name, "comes twice.")
		}
		all = append(all, f)
	}
	if _, err := d.Token(); err != nil || d.More() {
		return nil, bad("", "The body must be one JSON object and nothing else.")
	}
	return all, nil
}

// bad is a 400 that names the parameter.
func bad(name, because string) *gateway.Error {
	if name == "" {
		return gateway.BadRequest("invalid_body", "", because)
	}
	return gateway.BadRequest("invalid_"+code(name), name, name+" "+because)
}

// code makes a name fit to be part of an error code.
func code(name string) string {
	first, _, _ := strings.Cut(name, ".")
	if !slices.Contains(fieldNames(), first) && !slices.Contains([]string{graceField, "email", "blocked", "theme", "provider_key", "key_provider", "name"}, first) {
		return "parameter"
	}
	return first
}

// setter reads a field's value into a key.
type setter func(k *gateway.APIKey, value json.RawMessage) error

// setters are the fields of a key that may be set.
func setters() map[string]setter {
	return map[string]setter{
		"label":         setLabel,
		"role":          func(k *gateway.APIKey, v json.RawMessage) error { return setRole(&k.Role, v) },
		"owner":         setOwner,
		"team":          func(k *gateway.APIKey, v json.RawMessage) error { return setName(&k.Team, v) },
		"expires_at":    setExpiry,
		"models":        setModels,
		"networks":      setNetworks,
		"tags":          setTags,
		"limits":        setLimits,
		"budget":        setBudget,
		"provider_keys": func(k *gateway.APIKey, v json.RawMessage) error { return setTruth(&k.ProviderKeys, v) },
	}
}

func fieldNames() []string {
	return []string{"label", "role", "owner", "team", "expires_at", "models", "networks", "tags", "limits", "budget", "provider_keys"}
}

// apply sets the fields of a key. Unknown fields are refused, because they would be lost silently.
func (f fields) apply(k *gateway.APIKey) error {
	known := setters()
	for _, said := range f {
		set, ok := known[said.name]
		if !ok {
			return bad(said.name, "is not a field of a key. The fields are "+strings.Join(fieldNames(), ", ")+".")
		}
		if err := set(k, said.value); err != nil {
			return withName(said.name, err)
		}
	}
	return nil
}

// within is an error of a part of a field.
type within struct {
	part    string
	because string
}

func (e within) Error() string { return e.because }

func withName(name string, err error) error {
	var part within
	var whole *gateway.Error
	if errors.As(err, &whole) {
		return whole
	}
	if errors.As(err, &part) {
		return bad(name+"."+part.part, part.because+".")
	}
	return bad(name, err.Error()+".")
}

func isNull(v json.RawMessage) bool { return string(bytes.TrimSpace(v)) == "null" }

// read reads a value of a required JSON type. null has no type.
func read[T any](v json.RawMessage, wanted string) (value T, err error) {
	if isNull(v) || json.Unmarshal(v, &value) != nil {
		return value, errors.New("must be " + wanted)
	}
	return value, nil
}

const maxName = 100 // characters of labels, owners, teams and values of tags

// plain refuses characters that cannot be shown on a line.
func plain(text string) error {
	switch {
	case utf8.RuneCountInString(text) > maxName:
		return fmt.Errorf("must have at most %d characters", maxName)
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsPrint(c) }):
		return errors.New("must hold printable characters only")
	case strings.Contains(text, gateway.GatewayKeyPrefix):
		return errors.New("must not hold a key")
	}
	return nil
}

func setLabel(k *gateway.APIKey, v json.RawMessage) error {
	text, err := read[string](v, "a text")
	switch {
	case err != nil:
		return err
	case strings.TrimSpace(text) == "":
		return errors.New("must not be empty: it is how people recognise the key")
	}
	if err = plain(text); err == nil {
		k.Label = text
	}
	return err
}

func setRole(into *gateway.Role, v json.RawMessage) error {
	text, err := read[string](v, "viewer, member or admin")
	if err != nil {
		return err
	}
	role, err := gateway.ParseRole(text)
	if err == nil {
		*into = role
	}
	return err
}

// setOwner sets whom usage is booked to; null is nobody. An address is kept in small letters, as
// people's are: the key is theirs, and ends when they are blocked.
func setOwner(k *gateway.APIKey, v json.RawMessage) error {
	err := setName(&k.Owner, v)
	if address := strings.ToLower(k.Owner); isAddress(address) {
		k.Owner = address
	}
	return err
}

// setName sets an owner or a team; null is none.
func setName(into *string, v json.RawMessage) error {
	text := ""
	if !isNull(v) {
		var err error
		if text, err = read[string](v, "a text or null"); err != nil {
			return err
		}
	}
	err := plain(text)
	if err == nil {
		*into = text
	}
	return err
}

func setTruth(into *bool, v json.RawMessage) error {
	truth, err := read[bool](v, "true or false")
	if err == nil {
		*into = truth
	}
	return err
}

// setExpiry sets the end of a key; null is never. Whole microseconds are what both stores keep.
func setExpiry(k *gateway.APIKey, v json.RawMessage) error {
	if isNull(v) {
		k.ExpiresAt = nil
		return nil
	}
	const wanted = "a time such as 2027-01-31T12:00:00Z, or null"
	text, err := read[string](v, wanted)
	if err != nil {
		return err
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil || at.Year() < 2000 || at.Year() > 9000 {
		return errors.New("must be " + wanted)
	}
	at = at.UTC().Truncate(time.Microsecond)
	k.ExpiresAt = &at
	return nil
}

const (
	maxModels   = 1000
	maxModel    = 256 // bytes of a pattern
	maxNetworks = 1000
)

// setModels sets the models that are allowed; null is every one, an empty list none.
func setModels(k *gateway.APIKey, v json.RawMessage) error {
	if isNull(v) {
		k.Models = nil
		return nil
	}
	models, err := read[[]string](v, "a list of model names, in which * stands for any characters, or null")
	switch {
	case err != nil:
		return err
	case len(models) > maxModels:
		return fmt.Errorf("must have at most %d entries", maxModels)
	}
	for _, m := range models {
		if m == "" || len(m) > maxModel || strings.ContainsFunc(m, unicode.IsControl) {
			return fmt.Errorf("must hold names of 1 to %d bytes without control characters", maxModel)
		}
	}
	k.Models = append([]string{}, models...)
	return nil
}

// setNetworks sets where clients may call from; null is everywhere, an empty list nowhere.
func setNetworks(k *gateway.APIKey, v json.RawMessage) error {
	if isNull(v) {
		k.Networks = nil
		return nil
	}
	texts, err := read[[]string](v, "a list of networks such as 10.0.0.0/8, or null")
	switch {
	case err != nil:
		return err
	case len(texts) > maxNetworks:
		return fmt.Errorf("must have at most %d entries", maxNetworks)
	}
	networks := []netip.Prefix{}
	for _, text := range texts {
		network, err := parseNetwork(text)
		if err != nil {
			return err
		}
		networks = append(networks, network)
	}
	k.Networks = networks
	return nil
}

// parseNetwork reads a network, or a single address.
func parseNetwork(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil || p.Addr().Is4In6():
		return p, fmt.Errorf("must hold networks such as 10.0.0.0/8 or 2001:db8::/32, or addresses, not %q", text)
	case p != p.Masked():
		return p, fmt.Errorf("must hold networks without bits behind their mask: %s, not %s", p.Masked(), p)
	}
	return p, nil
}

// setTags sets all tags of a key; null is none.
func setTags(k *gateway.APIKey, v json.RawMessage) error {
	var said fields
	if !isNull(v) {
		var err error
		if said, err = readFields(v); err != nil {
			return errors.New("must be an object of texts, each name at most once, or null")
		}
	}
	if len(said) > gateway.MaxTags {
		return fmt.Errorf("must have at most %d entries", gateway.MaxTags)
	}
	tags := map[string]string{}
	for _, f := range said {
		if !gateway.IsTagName(f.name) {
			return fmt.Errorf("must have names of a-z 0-9 _ . - with at most %d characters", gateway.MaxTagName)
		}
		value, err := read[string](f.value, "a text")
		if err == nil {
			err = plain(value)
		}
		if err != nil {
			return within{f.name, err.Error()}
		}
		tags[f.name] = value
	}
	k.Tags = tags
	return nil
}

// setLimits sets the named limits and keeps the others. null removes a limit, or all of them when
// it replaces the whole object.
func setLimits(k *gateway.APIKey, v json.RawMessage) error {
	if isNull(v) {
		k.Limits = gateway.KeyLimits{}
		return nil
	}
	said, err := readFields(v)
	if err != nil {
		return errors.New("must be an object of limits, each at most once, or null")
	}
	limits := k.Limits
	for _, f := range said {
		into := limits.Named(f.name)
		if into == nil {
			return within{f.name, "is not a limit. The limits are " + strings.Join(gateway.KeyLimitNames(), ", ")}
		}
		*into = nil
		if isNull(f.value) {
			continue
		}
		n, err := read[int64](f.value, "")
		if err != nil || n < 0 || n > gateway.MaxKeyLimit {
			return within{f.name, fmt.Sprintf("must be a whole number from 0, which lets nothing through, to %d, or null for none", gateway.MaxKeyLimit)}
		}
		*into = &n
	}
	k.Limits = limits
	return nil
}

// setBudget sets all budgets of a key; null and an empty list leave what the configuration says.
func setBudget(k *gateway.APIKey, v json.RawMessage) (err error) {
	k.Budget, err = readBudgets(v)
	return err
}

func readBudgets(v json.RawMessage) (budgets []gateway.KeyBudget, err error) {
	if isNull(v) {
		return nil, nil
	}
	const wanted = `a list such as [{"per": "month", "usd": 12.50}], each period at most once, or null`
	entries, err := read[[]json.RawMessage](v, wanted)
	if err != nil {
		return nil, err
	}
	for i, entry := range entries {
		budget, err := readBudget(entry)
		if err != nil {
			return nil, within{strconv.Itoa(i), err.Error()}
		}
		if slices.ContainsFunc(budgets, func(other gateway.KeyBudget) bool { return other.Per == budget.Per }) {
			return nil, errors.New("must be " + wanted)
		}
		budgets = append(budgets, budget)
	}
	return budgets, nil
}

// readBudget reads a budget, and refuses a duplicate name.
func readBudget(v json.RawMessage) (b gateway.KeyBudget, err error) {
	if _, err := readFields(v); err != nil {
		return b, errors.New(`must be an object such as {"per": "month", "usd": 12.50}`)
	}
	return b, b.UnmarshalJSON(v)
}
