package config

import (
	"encoding/json"
	"slices"
)

// schema is a JSON Schema, with the keywords that the file needs.
// Source: https://json-schema.org/draft/2020-12/schema
type schema struct {
	Dialect     string             `json:"$schema,omitempty"`
	Title       string             `json:"title,omitempty"`
	Description string             `json:"description,omitempty"`
	Type        types              `json:"type,omitempty"`
	Default     json.RawMessage    `json:"default,omitempty"`
	Enum        []string           `json:"enum,omitempty"`
	Pattern     string             `json:"pattern,omitempty"`
	Minimum     *int64             `json:"minimum,omitempty"`
	Maximum     *int64             `json:"maximum,omitempty"`
	MinLength   *int               `json:"minLength,omitempty"`
	MaxLength   *int               `json:"maxLength,omitempty"`
	Properties  map[string]*schema `json:"properties,omitempty"`
	Required    []string           `json:"required,omitempty"`
	Additional  *bool              `json:"additionalProperties,omitempty"`
	MinFields   int                `json:"minProperties,omitempty"`
	MaxFields   int                `json:"maxProperties,omitempty"`
	Items       *schema            `json:"items,omitempty"`
	AnyOf       []schema           `json:"anyOf,omitempty"`
}

// types are names of JSON's types.
type types []string

// MarshalJSON writes a single type without a list.
func (t types) MarshalJSON() ([]byte, error) {
	if len(t) == 1 {
		return json.Marshal(t[0])
	}
	return json.Marshal([]string(t))
}

// is reports whether values may be of a type.
func (s schema) is(name string) bool { return slices.Contains(s.Type, name) }

// Schema is the JSON Schema of the configuration file, for editors.
func Schema() ([]byte, error) {
	s := schemaOf(field{into: group{fields: new(document).fields()}})
	s.Dialect, s.Title = "https://json-schema.org/draft/2020-12/schema", "ai-gateway.yaml"
	s.Description = "Configuration of the AI Gateway."
	b, err := json.MarshalIndent(s, "", "  ")
	return append(b, '\n'), err
}

func schemaOf(f field) schema {
	var s schema
	switch into := f.into.(type) {
	case single:
		s, _ = into.describe()
		if f.unset != "" {
			s.Default = literal(f.unset, s)
		}
	case list:
		s = schemaOfList(into, f)
	case group:
		s = schemaOfGroup(into)
	}
	s.Description = f.doc
	return s
}

func schemaOfList(into list, f field) schema {
	item := schemaOf(field{into: into.item()})
	all := schema{Type: types{"array"}, Items: &item}
	if f.lone {
		return schema{AnyOf: []schema{item, all}}
	}
	return all
}

func schemaOfGroup(into group) schema {
	closed := false
	s := schema{Type: types{"object"}, Additional: &closed, Properties: map[string]*schema{}}
	for _, f := range into.fields {
		of := schemaOf(f)
		s.Properties[f.name] = &of
		if f.required {
			s.Required = append(s.Required, f.name)
		}
	}
	if into.oneOf {
		s.MinFields, s.MaxFields = 1, 1
	}
	if into.short {
		return schema{AnyOf: []schema{schemaOf(into.fields[0]), s}}
	}
	return s
}
