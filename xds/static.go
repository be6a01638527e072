package xds

import (
	"fmt"

	bootstrap "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/encoding/protojson"
)

// Static renders everything as one file, in JSON, that an Envoy can read by itself: `envoy --mode
// validate` does not check resources that come over xDS. The file holds the keys in clear text.
func Static(c Config) ([]byte, error) {
	c.static = true
	l, err := c.listener()
	if err != nil {
		return nil, fmt.Errorf("building the listener: %w", err)
	}
	clusters, err := c.clusters()
	if err != nil {
		return nil, fmt.Errorf("building the clusters: %w", err)
	}
	all := &bootstrap.Bootstrap_StaticResources{Listeners: []*listener.Listener{l}}
	for _, r := range clusters {
		all.Clusters = append(all.Clusters, r.(*cluster.Cluster))
	}
	for _, s := range c.secrets() {
		all.Secrets = append(all.Secrets, s.(*tls.Secret))
	}
	return protojson.Marshal(&bootstrap.Bootstrap{StaticResources: all})
}
