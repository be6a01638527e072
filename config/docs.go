package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Document fills in the tables of docs/configuration.md, each between its markers.
func Document(markdown string) (string, error) {
	for _, table := range []struct{ name, text string }{{"fields", fieldTable()}, {"variables", variableTable()}} {
		begin := "<!-- " + table.name + ": made by `make docs` -->\n"
		end := "<!-- end of " + table.name + " -->"
		before, rest, begins := strings.Cut(markdown, begin)
		_, after, ends := strings.Cut(rest, end)
		if !begins || !ends {
			return "", fmt.Errorf("the markers %q and %q are not both there", begin, end)
		}
		markdown = before + begin + "\n" + table.text + "\n" + end + after
	}
	return markdown, nil
}

func fieldTable() string {
	var b strings.Builder
	b.WriteString("| field | value | default | variable | meaning |\n|---|---|---|---|---|\n")
	writeFields(&b, new(document).fields(), "")
	return b.String()
}

func writeFields(b *strings.Builder, fields []field, under string) {
	for _, f := range fields {
		path := under + f.name
		unset := code(f.unset)
		if f.required {
			unset = "required"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s |\n", path, words(f), unset, strings.Join(codes(f.variables), ", "), f.doc)
		switch into := f.into.(type) {
		case list:
			if item, ok := into.item().(group); ok {
				writeFields(b, item.fields, path+"[].")
			}
		case group:
			writeFields(b, into.fields, path+".")
		}
	}
}

// words say what a field's value is.
func words(f field) string {
	switch into := f.into.(type) {
	case single:
		_, words := into.describe()
		return words
	case list:
		return listWords(into, f)
	case group:
		if into.oneOf {
			return "one of its fields"
		}
	}
	return "fields"
}

func listWords(into list, f field) string {
	item := into.item()
	switch g, ok := item.(group); {
	case ok && g.short:
		return "list of fields or texts"
	case f.lone:
		return "fields, or a list of them"
	}
	return "list of " + words(field{into: item})
}

func variableTable() string {
	var b strings.Builder
	b.WriteString("| variable | default | field | meaning |\n|---|---|---|---|\n")
	fmt.Fprintf(&b, "| `%s` | | | the configuration file, where no `--config` names one |\n", FileVariable)
	fmt.Fprintf(&b, "| `%s` | `%s` | | base URL of the backend `%s`, which serves every model without a route; with a file there is no default |\n",
		upstreamVariable, DefaultUpstream, UpstreamBackend)
	fmt.Fprintf(&b, "| `%s` | | | key for the upstream, used for clients that send none |\n", keyVariable)
	fmt.Fprintf(&b, "| `%s` | | | the same, if `%s` is not set |\n", otherKeyVariable, keyVariable)
	fmt.Fprintf(&b, "| `%s` | | | base URL of the backend `%s`, of that kind, which serves every model without a route at `/v1/messages`; without a file, and with the key below, `%s` |\n",
		anthropicVariable, AnthropicBackend, DefaultAnthropic)
	fmt.Fprintf(&b, "| `%s` | | | key for it, used for clients that send none |\n", anthropicKeyVariable)
	fmt.Fprintf(&b, "| `%s` | | | `modelId:baseUrl,modelId2:baseUrl2`: models that are served elsewhere. A route to the upstream's own "+
		"scheme, host and port is called with the upstream's keys, every other one without a key; ids may hold colons (`llama3:8b:http://localhost:11434/v1`) |\n", routesVariable)
	fmt.Fprintf(&b, "| `%s` | | `admin_key` | an admin's gateway key that is made elsewhere: `agw_` and the output of `openssl rand -hex 32`; with it everybody needs a gateway key |\n", adminKeyVariable)
	for _, v := range [][2]string{{googleSecretVariable, "sign_in.google.client_secret"}, {oidcSecretVariable, "sign_in.oidc.client_secret"},
		{sessionVariable, "sign_in.session_secret"}, {otherSessionVariable, "sign_in.session_secret"}, {encryptionVariable, "sign_in.encryption_key"}} {
		fmt.Fprintf(&b, "| `%s` | | `%s` | the secret itself; it wins over what the field leads to |\n", v[0], v[1])
	}
	writeVariables(&b, new(document).fields(), "")
	return b.String()
}

// writeVariables writes a row for each variable that overrides a field.
func writeVariables(b *strings.Builder, fields []field, under string) {
	for _, f := range fields {
		path := under + f.name
		if into, ok := f.into.(group); ok {
			writeVariables(b, into.fields, path+".")
		}
		for i, name := range f.variables {
			doc := f.meaning()
			if _, ok := f.into.(list); ok {
				doc += "; entries have commas between them"
			}
			if i > 0 {
				doc = fmt.Sprintf("the same, if `%s` is not set", f.variables[0])
			}
			fmt.Fprintf(b, "| `%s` | %s | `%s` | %s |\n", name, code(f.plainUnset()), path, doc)
		}
	}
}

// meaning is a field's sentence, with the unit of its variable.
func (f field) meaning() string {
	if f.unit == "" {
		return f.doc
	}
	return "in " + f.unit + ": " + f.doc
}

// plainUnset is the default in the form of the field's variable.
func (f field) plainUnset() string {
	if f.unit == "" {
		return f.unset
	}
	of, err := time.ParseDuration("1" + f.unit)
	unset, errUnset := time.ParseDuration(f.unset)
	if err != nil || errUnset != nil {
		panic("a default with a unit is a duration") // a test writes all tables
	}
	return strconv.FormatInt(int64(unset/of), 10)
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}

func codes(texts []string) []string {
	var all []string
	for _, text := range texts {
		all = append(all, code(text))
	}
	return all
}
