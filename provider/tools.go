package provider

import "bytes"

// Tokens of the format in which a model is shown its tools, besides those of their texts, as OpenAI
// measured them with gpt-4o. Older models use three more for each function.
// Source: https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken
const (
	tokensPerTools    = 12 // once
	tokensPerFunction = 7
	tokensPerObject   = 3 // that has properties
	tokensPerProperty = 3
	tokensPerEnum     = -3
	tokensPerValue    = 3 // of an enum
)

// readTools reads the tools, or the functions of older clients, that a model may call.
func (r *requestReader) readTools() {
	before := r.format
	r.readSchema(nil, false)
	if r.format > before {
		r.format += tokensPerTools
	}
}

// readSchema passes the value of a tool's member of that name and adds the part that a model is
// shown. Types are shown for properties only.
func (r *requestReader) readSchema(name []byte, ofProperty bool) {
	switch r.kind() {
	case '"':
		raw, _ := r.str()
		r.addSchemaText(string(name), raw, ofProperty)
	case '{':
		if string(name) == "properties" {
			r.readProperties()
			return
		}
		for r.enter(); r.more('}'); {
			r.readSchema(r.name(), ofProperty)
		}
	case '[':
		if string(name) == "enum" {
			r.format += tokensPerEnum
		}
		for r.enter(); r.more(']'); {
			r.readSchema(name, ofProperty)
		}
	default:
		r.skip()
	}
}

func (r *requestReader) readProperties() {
	none := true
	for r.enter(); r.more('}'); {
		if none {
			r.format += tokensPerObject
			none = false
		}
		r.format += tokensPerProperty
		r.said = append(r.said, said{raw: r.name()})
		r.readSchema(nil, true)
	}
}

// addSchemaText adds a string of a schema.
func (r *requestReader) addSchemaText(name string, raw []byte, ofProperty bool) {
	s := said{raw: raw}
	switch {
	case name == "name":
		r.format += tokensPerFunction
	case name == "description":
		s.colon, s.raw = true, bytes.TrimSuffix(raw, []byte{'.'})
	case name == "type" && ofProperty:
		s.colon = true
	case name == "enum":
		r.format += tokensPerValue
	default:
		return
	}
	r.said = append(r.said, s)
}
