// Package envoy knows the stock Envoy that the gateway stands on: where it is,
// which version it must have, and what it must be told before it can ask the xDS
// server for the rest. The end-to-end tests of the gateway live here too.
package envoy

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"text/template"
)

//go:embed bootstrap.yaml.tmpl
var bootstrapTemplate string

// Runtime is what of the runtime is set, in YAML. The header allow lists are spelled out
// as regular expressions of about a thousand RE2 instructions.
const Runtime = `layered_runtime:
  layers:
  - name: gateway
    static_layer:
      re2.max_program_size.error_level: 4000
      re2.max_program_size.warn_level: 4000
`

// Bootstrap is what Envoy's first configuration is made from.
type Bootstrap struct {
	AdminSocket    string // Unix socket of the admin interface; never TCP
	XDSSocket      string // Unix socket of the xDS server
	MaxHeapBytes   int64  // from 95 % of it on, new requests are answered with 503
	MaxConnections int    // of clients; see Connections
}

// YAML renders the bootstrap configuration.
func (b Bootstrap) YAML() ([]byte, error) {
	t, err := template.New("bootstrap").Funcs(template.FuncMap{"json": quoted, "runtime": func() string { return Runtime }}).Parse(bootstrapTemplate)
	if err != nil {
		return nil, fmt.Errorf("parsing the bootstrap template: %w", err)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, b); err != nil {
		return nil, fmt.Errorf("rendering the bootstrap: %w", err)
	}
	return out.Bytes(), nil
}

func quoted(s string) (string, error) {
	b, err := json.Marshal(s)
	return string(b), err
}
