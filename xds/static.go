package xds

import (
	"fmt"

	bootstrap "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"google.golang.org/protobuf/encoding/protojson"
)

// Static renders everything as one file, in JSON, that an Envoy can read by itself:
// `envoy --mode validate` looks at nothing that it would have to ask for. It holds the
// keys in clear.
func Static(c Config) ([]byte, error) {
	c.static = true
	l, err := c.listener()
	if err != nil {
		return nil, fmt.Errorf("building the listener: %w", err)
	}
	clusters, endpoints, err := c.clusters()
	if err != nil {
		return nil, fmt.Errorf("building the clusters: %w", err)
	}
	all := &bootstrap.Bootstrap_StaticResources{Listeners: []*listener.Listener{l}, Clusters: static(clusters, endpoints)}
	for _, s := range c.secrets() {
		all.Secrets = append(all.Secrets, s.(*tls.Secret))
	}
	return protojson.Marshal(&bootstrap.Bootstrap{StaticResources: all})
}

// static puts the endpoints into the clusters that would ask for them.
func static(clusters, endpoints []types.Resource) []*cluster.Cluster {
	loads := map[string]*endpoint.ClusterLoadAssignment{}
	for _, e := range endpoints {
		load := e.(*endpoint.ClusterLoadAssignment)
		loads[load.GetClusterName()] = load
	}
	var all []*cluster.Cluster
	for _, r := range clusters {
		c := r.(*cluster.Cluster)
		if c.GetType() == cluster.Cluster_EDS {
			c.ClusterDiscoveryType = &cluster.Cluster_Type{Type: cluster.Cluster_STATIC}
			c.EdsClusterConfig, c.LoadAssignment = nil, loads[c.GetName()]
		}
		all = append(all, c)
	}
	return all
}
