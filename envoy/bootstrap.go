// Package envoy knows the stock Envoy under the gateway: where its binary is, which version it
// must have, the bootstrap configuration with which it can ask the xDS server for the rest, and
// its admin interface.
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

// Runtime has settings of Envoy's runtime, in YAML. The header allow lists are regular
// expressions of about a thousand RE2 instructions.
const Runtime = `layered_runtime:
  layers:
  - name: gateway
    static_layer:
      re2.max_program_size.error_level: 4000
      re2.max_program_size.warn_level: 4000
`

// Bootstrap has the values of Envoy's bootstrap configuration.
type Bootstrap struct {
	AdminSocket    string // Unix socket of the admin interface; never TCP
	XDSSocket      string // Unix socket of the xDS server
	MaxHeapBytes   int64  // at 95 % of it new requests are answered with 503
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
