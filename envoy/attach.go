package envoy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Pieces are what Attach adds, each in the JSON of its message in Envoy's API.
type Pieces struct {
	Filters    [][]byte // HttpFilter, right before the router
	Routes     [][]byte // Route, first in the virtual host
	Clusters   [][]byte // Cluster
	AccessLogs [][]byte // AccessLog of the connection manager
	Replies    [][]byte // ResponseMapper, first
	ADS, CDS   []byte   // ApiConfigSource and ConfigSource of dynamic_resources
	Backends   [][]byte // Cluster; not added, as they come by CDS
}

// Attach adds the pieces to a static configuration, and leaves every other byte unchanged. It
// refuses what it does not understand, and names the line. Detach is its inverse.
func Attach(text []byte, at Place, p Pieces) ([]byte, Summary, error) {
	if line := Marked(text); line > 0 {
		return nil, Summary{}, fmt.Errorf("line %d: the gateway is attached here already: take it out first, by --remove", line)
	}
	d, err := parseDocument(text)
	if err != nil {
		return nil, Summary{}, err
	}
	key, static, err := d.child(d.root, "static_resources")
	switch {
	case err != nil:
		return nil, Summary{}, err
	case key == nil:
		return nil, Summary{}, d.refuse(d.root, "there are no static_resources: add the pieces that `ai-gateway attach resources` prints where this Envoy gets its listeners from")
	}
	h, err := d.host(static, at)
	if err != nil {
		return nil, Summary{}, err
	}
	edits, err := d.edits(static, h, p)
	if err != nil {
		return nil, Summary{}, err
	}
	merged := insert(text, edits)
	return merged, d.summary(h), d.unchanged(merged)
}

// edits are all insertions.
func (d *document) edits(static *yaml.Node, h host, p Pieces) ([]insertion, error) {
	var all []insertion
	for _, edit := range []func() ([]insertion, error){
		func() ([]insertion, error) { return d.addTo(h.node, "routes", "", p.Routes) },
		func() ([]insertion, error) { return d.addFilters(h.manager, p.Filters) },
		func() ([]insertion, error) { return d.addTo(h.manager, "access_log", "http_filters", p.AccessLogs) },
		func() ([]insertion, error) { return d.addReplies(h.manager, p.Replies) },
		func() ([]insertion, error) { return d.addClusters(static, p.Clusters) },
		func() ([]insertion, error) { return d.addSources(p) },
		d.addNode,
		d.addRuntime,
	} {
		edits, err := edit()
		if err != nil {
			return nil, err
		}
		all = append(all, edits...)
	}
	return all, nil
}

// addTo adds elements at the head of a list, and creates the list if there is none.
func (d *document) addTo(m *yaml.Node, name, before string, items [][]byte) ([]insertion, error) {
	key, value, err := d.child(m, name)
	if err != nil {
		return nil, err
	}
	var i insertion
	switch {
	case key == nil:
		i, err = d.addEntries(m, before, entry{name, list(items)})
	case value.Kind != yaml.SequenceNode:
		return nil, d.refuse(value, "%q must be a list", name)
	default:
		i, err = d.addItems(value, 0, items)
	}
	return []insertion{i}, err
}

func list(items [][]byte) []byte {
	return slices.Concat([]byte("["), bytes.Join(items, []byte(",")), []byte("]"))
}

func object(entries ...entry) []byte {
	var parts [][]byte
	for _, e := range entries {
		parts = append(parts, slices.Concat([]byte(`"`+e.key+`":`), e.value))
	}
	return slices.Concat([]byte("{"), bytes.Join(parts, []byte(",")), []byte("}"))
}

// addFilters adds filters right before the router, the last one.
func (d *document) addFilters(manager *yaml.Node, filters [][]byte) ([]insertion, error) {
	list, items, err := d.items(manager, "http_filters")
	switch {
	case err != nil:
		return nil, err
	case len(items) == 0:
		return nil, d.refuse(manager, "this connection manager has no http_filters")
	}
	last := items[len(items)-1]
	if !strings.HasSuffix(d.word(d.value(last, "typed_config"), "@type"), "envoy.extensions.filters.http.router.v3.Router") {
		return nil, d.refuse(last, "the last HTTP filter is not the router, before which the gateway's have to stand")
	}
	i, err := d.addItems(list, len(items)-1, filters)
	return []insertion{i}, err
}

// addReplies adds mappers of Envoy's own answers.
func (d *document) addReplies(manager *yaml.Node, mappers [][]byte) ([]insertion, error) {
	key, config, err := d.child(manager, "local_reply_config")
	switch {
	case err != nil:
		return nil, err
	case key == nil:
		i, err := d.addEntries(manager, "http_filters", entry{"local_reply_config", object(entry{"mappers", list(mappers)})})
		return []insertion{i}, err
	}
	return d.addTo(config, "mappers", "", mappers)
}

// addClusters adds clusters, and refuses names that are taken.
func (d *document) addClusters(static *yaml.Node, clusters [][]byte) ([]insertion, error) {
	_, theirs, err := d.items(static, "clusters")
	if err != nil {
		return nil, err
	}
	for _, ours := range clusters {
		var named struct{ Name string }
		if err := json.Unmarshal(ours, &named); err != nil {
			return nil, fmt.Errorf("reading a cluster that is to be added: %w", err)
		}
		for _, c := range theirs {
			if d.word(c, "name") == named.Name {
				return nil, d.refuse(c, "there is a cluster %q already, which is a name of the gateway's", named.Name)
			}
		}
	}
	return d.addTo(static, "clusters", "", clusters)
}

// addSources makes the clusters of the backends come from the agent.
func (d *document) addSources(p Pieces) ([]insertion, error) {
	ours := []entry{{"ads_config", p.ADS}, {"cds_config", p.CDS}}
	key, dynamic, err := d.child(d.root, "dynamic_resources")
	if err != nil {
		return nil, err
	}
	if key == nil {
		i, err := d.addEntries(d.root, "static_resources", entry{"dynamic_resources", object(ours...)})
		return []insertion{i}, err
	}
	for _, e := range ours {
		taken, _, err := d.child(dynamic, e.key)
		if err != nil {
			return nil, err
		}
		if taken != nil {
			return nil, d.refuse(taken, "this Envoy has a server for its clusters already (%s): have that one serve the pieces that `ai-gateway attach resources` prints", e.key)
		}
	}
	i, err := d.addEntries(dynamic, "", ours...)
	return []insertion{i}, err
}

// addNode names the Envoy, because without a name it does not use xDS. Names on its command line
// take precedence.
func (d *document) addNode() ([]insertion, error) {
	key, node, err := d.child(d.root, "node")
	if err != nil {
		return nil, err
	}
	var missing []entry
	for _, name := range []string{"id", "cluster"} {
		if key == nil || d.value(node, name) == nil {
			missing = append(missing, entry{name, []byte(`"ai-gateway-attached"`)})
		}
	}
	var i insertion
	switch {
	case len(missing) == 0:
		return nil, nil
	case key == nil:
		i, err = d.addEntries(d.root, "static_resources", entry{"node", object(missing...)})
	default:
		i, err = d.addEntries(node, "", missing...)
	}
	return []insertion{i}, err
}

// runtimeLayer raises Envoy's limit on the size of regular expressions, for the allow lists.
const runtimeLayer = `{"name":"ai-gateway","static_layer":{"re2.max_program_size.error_level":16000,"re2.max_program_size.warn_level":16000}}`

// RuntimeLayer is an addition that a bootstrap needs, in JSON.
func RuntimeLayer() []byte {
	return object(entry{"layered_runtime", object(entry{"layers", list([][]byte{[]byte(runtimeLayer)})})})
}

// addRuntime makes Envoy accept the regular expressions of the allow lists. An Envoy without
// configured layers has the admin layer by default, which is kept.
func (d *document) addRuntime() ([]insertion, error) {
	layer := []byte(runtimeLayer)
	key, runtime, err := d.child(d.root, "layered_runtime")
	if err != nil {
		return nil, err
	}
	if key == nil {
		layers := list([][]byte{layer, []byte(`{"name":"admin","admin_layer":{}}`)})
		i, err := d.addEntries(d.root, "static_resources", entry{"layered_runtime", object(entry{"layers", layers})})
		return []insertion{i}, err
	}
	return d.addTo(runtime, "layers", "", [][]byte{layer})
}

var errChanged = errors.New("the gateway cannot be added here without changing something else: this is a fault of ours, please report the file's form")

// unchanged checks that nothing but the text between marks was changed.
func (d *document) unchanged(merged []byte) error {
	back, err := Detach(merged)
	if err != nil || !bytes.Equal(back, d.text) {
		return errChanged
	}
	var now yaml.Node
	if err := yaml.Unmarshal(merged, &now); err != nil {
		return fmt.Errorf("%w: %w", errChanged, err)
	}
	if !sameBut(d.root, now.Content[0], addedLines(merged)) {
		return errChanged
	}
	return nil
}

// addedLines are the numbers of the lines between marks.
func addedLines(merged []byte) map[int]bool {
	added, within := map[int]bool{}, false
	for n, line := range bytes.Split(merged, []byte("\n")) {
		switch markOf(line) {
		case beginMark, beginInlineMark:
			within = true
		case endMark, endInlineMark:
			within = false
		}
		if within {
			added[n+1] = true
		}
	}
	return added
}

// sameBut compares a node with one that has more elements, all of them on lines that were added.
func sameBut(was, is *yaml.Node, added map[int]bool) bool {
	if was.Kind != is.Kind || was.Tag != is.Tag || was.Value != is.Value || was.Anchor != is.Anchor {
		return false
	}
	step := 1
	if is.Kind == yaml.MappingNode {
		step = 2
	}
	var kept []*yaml.Node
	for i := 0; i < len(is.Content); i += step {
		if !added[is.Content[i].Line] {
			kept = append(kept, is.Content[i:i+step]...)
		}
	}
	return slices.EqualFunc(was.Content, kept, func(a, b *yaml.Node) bool { return sameBut(a, b, added) })
}
