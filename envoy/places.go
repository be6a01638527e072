package envoy

import (
	"cmp"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Place is where in a configuration the gateway is attached. An empty field stands for the only one
// of its kind.
type Place struct{ Listener, VirtualHost string }

// host is a virtual host in which requests can be routed to the gateway, and the HTTP connection
// manager that it belongs to.
type host struct {
	listener, name string
	node           *yaml.Node
	manager        *yaml.Node
}

const managerType = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"

// host finds the virtual host of a place.
func (d *document) host(static *yaml.Node, at Place) (host, error) {
	all, unfit, err := d.hosts(static, at)
	if err != nil {
		return host{}, err
	}
	var list strings.Builder
	for _, h := range all {
		fmt.Fprintf(&list, "\n  line %d: listener %q, virtual host %q", h.node.Line, h.listener, h.name)
	}
	switch {
	case len(all) == 1:
		return all[0], nil
	case len(all) > 1:
		return host{}, fmt.Errorf("several virtual hosts fit: name one by --listener and --virtual-host%s", list.String())
	case unfit != nil:
		return host{}, unfit
	case at != (Place{}):
		return host{}, d.refuse(static, "no listener %q has a virtual host %q (\"\" is any)", at.Listener, at.VirtualHost)
	}
	return host{}, d.refuse(static, "no listener has an HTTP connection manager with a route_config")
}

// hosts are all virtual hosts that match. unfit describes the first connection manager whose routes
// come from elsewhere.
func (d *document) hosts(static *yaml.Node, at Place) (all []host, unfit, err error) {
	_, listeners, err := d.items(static, "listeners")
	for _, listener := range listeners {
		name := d.word(listener, "name")
		if at.Listener != "" && name != at.Listener {
			continue
		}
		managers, err := d.managers(listener)
		if err != nil {
			return nil, nil, err
		}
		for _, manager := range managers {
			found, reason, err := d.hostsOf(manager, name, at.VirtualHost)
			if err != nil {
				return nil, nil, err
			}
			all = append(all, found...)
			if unfit == nil {
				unfit = reason
			}
		}
	}
	return all, unfit, err
}

// managers are the HTTP connection managers of a listener.
func (d *document) managers(listener *yaml.Node) (managers []*yaml.Node, err error) {
	_, chains, err := d.items(listener, "filter_chains")
	if err != nil {
		return nil, err
	}
	if _, last, err := d.child(listener, "default_filter_chain"); err != nil {
		return nil, err
	} else if last != nil {
		chains = append(chains, last)
	}
	for _, chain := range chains {
		_, filters, err := d.items(chain, "filters")
		if err != nil {
			return nil, err
		}
		for _, filter := range filters {
			_, config, err := d.child(filter, "typed_config")
			if err != nil {
				return nil, err
			}
			if strings.HasSuffix(d.word(config, "@type"), managerType) {
				managers = append(managers, config)
			}
		}
	}
	return managers, nil
}

// hostsOf are the virtual hosts of a connection manager, or the reason why it has none here.
func (d *document) hostsOf(manager *yaml.Node, listener, name string) (all []host, unfit, err error) {
	_, config, err := d.child(manager, "route_config")
	if err != nil {
		return nil, nil, err
	}
	if config == nil {
		for _, other := range []string{"rds", "scoped_routes"} {
			if key, _, _ := d.child(manager, other); key != nil {
				return nil, d.refuse(key, "these routes come from elsewhere (%s): add the pieces that `ai-gateway attach resources` prints there", other), nil
			}
		}
		return nil, d.refuse(manager, "this connection manager has no route_config"), nil
	}
	_, hosts, err := d.items(config, "virtual_hosts")
	for _, node := range hosts {
		if h := (host{listener, d.word(node, "name"), node, manager}); name == "" || h.name == name {
			all = append(all, h)
		}
	}
	return all, nil, err
}

// Summary is what an operator should know of the place.
type Summary struct {
	Place
	Filters []string // existing filters that also run for the gateway's requests
	Admin   string   // the address of the admin interface, "127.0.0.1:9901" or a path; "" for none
}

// summary collects the Summary.
func (d *document) summary(h host) Summary {
	s := Summary{Place: Place{h.listener, h.name}}
	if _, filters, err := d.items(h.manager, "http_filters"); err == nil && len(filters) > 0 {
		for _, f := range filters[:len(filters)-1] {
			s.Filters = append(s.Filters, d.word(f, "name"))
		}
	}
	at := d.value(d.root, "admin", "address")
	if socket := d.value(at, "socket_address"); socket != nil {
		s.Admin = cmp.Or(d.word(socket, "address"), "127.0.0.1") + ":" + d.word(socket, "port_value")
	}
	if pipe := d.value(at, "pipe"); pipe != nil {
		s.Admin = d.word(pipe, "path")
	}
	return s
}

// value is the value below a path of keys; nil if there is none.
func (d *document) value(m *yaml.Node, keys ...string) *yaml.Node {
	for _, key := range keys {
		if m == nil {
			return nil
		}
		_, inner, err := d.child(m, key)
		if err != nil {
			return nil
		}
		m = inner
	}
	return m
}
