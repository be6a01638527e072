// Package invoice compares a provider's exported usage table with our own rows, by day and
// model. Mappings in JSON describe the formats of such tables. It does not read the store.
package invoice

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

//go:embed mappings/*.json
var known embed.FS

// Mapping says what the columns of a provider's table mean. A figure is the sum of its
// columns; one without any is not compared.
type Mapping struct {
	From             string            `json:"from"`        // where the table comes from, for people
	Day              string            `json:"day"`         // the column of the day, in UTC
	DayForm          string            `json:"day_form"`    // as Go writes it; "" for a text that begins as 2026-01-31
	Model            string            `json:"model"`       // the column of the model; "" compares days alone
	ModelUntil       string            `json:"model_until"` // the text after the model's name in its column; "" if nothing follows
	Requests         []string          `json:"requests"`
	PromptTokens     []string          `json:"prompt_tokens"` // cached ones included
	CompletionTokens []string          `json:"completion_tokens"`
	Cost             []string          `json:"cost"`     // in dollars
	Currency         string            `json:"currency"` // the column of the currency, which must be USD; "" for none
	Only             map[string]string `json:"only"`     // column → text that it must contain for a row to count
}

// Known returns the names of the built-in mappings.
func Known() []string {
	files, err := known.ReadDir("mappings")
	if err != nil {
		panic(err) // it is part of the program
	}
	var names []string
	for _, f := range files {
		names = append(names, strings.TrimSuffix(f.Name(), path.Ext(f.Name())))
	}
	return names
}

// ByName returns a built-in mapping.
func ByName(name string) (m Mapping, ok bool) {
	if !slices.Contains(Known(), name) {
		return Mapping{}, false
	}
	text, err := known.ReadFile("mappings/" + name + ".json")
	if err == nil {
		m, err = ReadMapping(text)
	}
	if err != nil {
		panic(err) // it is part of the program
	}
	return m, true
}

// ReadMapping reads a mapping from JSON.
func ReadMapping(text []byte) (m Mapping, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return Mapping{}, fmt.Errorf("reading a mapping: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Mapping{}, errors.New("reading a mapping: must be one JSON object, but more follows")
	}
	switch {
	case m.Day == "":
		return Mapping{}, errors.New(`a mapping must name the column "day"`)
	case len(m.Requests)+len(m.PromptTokens)+len(m.CompletionTokens)+len(m.Cost) == 0:
		return Mapping{}, errors.New("a mapping must name columns of requests, prompt_tokens, completion_tokens or cost")
	}
	return m, nil
}

// columns are those that a table must have.
func (m *Mapping) columns() (names []string) {
	names = append(names, m.Day)
	for _, optional := range []string{m.Model, m.Currency} {
		if optional != "" {
			names = append(names, optional)
		}
	}
	for _, of := range [][]string{m.Requests, m.PromptTokens, m.CompletionTokens, m.Cost} {
		names = append(names, of...)
	}
	for name := range m.Only {
		names = append(names, name)
	}
	return names
}
