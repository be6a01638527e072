// Package xds turns routes and backends into Envoy's resources and publishes them. Building is
// pure: the same Config gives the same snapshot with the same version, a hash of its content. The
// server speaks ADS on a given listener, and remembers what Envoy refused.
package xds

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"ai-gateway/gateway"

	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/proto"
)

// Config is what Envoy's configuration is made from.
type Config struct {
	Bind    string // address to listen on
	Port    int
	AnyHost bool // accept every Host header; otherwise only names of this machine
	// TrustedHops is how many entries at the end of X-Forwarded-For come from trusted proxies. The
	// client's address is the first of them.
	TrustedHops int
	// FailOpen lets streams continue while the ext_proc service is down. No request is unmetered
	// because of it: requests without a plan get the catch-all route.
	FailOpen bool
	Routes   gateway.Routes
	Retry    gateway.Retry
	MaxBody  int64 // bytes a request body may have
	// ID marks the requests that pass, in 16 hexadecimal digits, to detect loops; "" marks none.
	ID string
	// Silence is the longest time without any bytes of a request or its answer, after which it is
	// ended.
	Silence time.Duration

	Certificate string   // PEM chain of the listener; "" speaks plain HTTP
	Key         string   // its PEM key
	Origins     []string // of web pages that may call: "https://app.example.com"; "*" is any

	ExtProcSocket string // of the ext_proc service: a Unix socket, or IP:PORT of this machine
	AgentSocket   string // of the agent's HTTP, likewise: health and models
	APISocket     string // Unix socket of the api role's HTTP
	APIAddress    string // host:port of it instead; "" for the socket
	Journal       string // path of the access log; "" for none, and then no script reads answers for it
	CAFile        string // PEM bundle of authorities for providers' certificates; "" for none: backends that need it are not called

	// Shared says that the Envoy has other routes, which may lead to any cluster. Calls of a
	// backend without a plan are then refused.
	Shared bool

	static bool // for Static
	apart  bool // for Attachment.Backends
}

// Build makes the snapshot and checks that it is consistent. Each type of resource has the hash of
// its own content as version, so that Envoy gets only types that changed.
func Build(c Config) (*cache.Snapshot, error) {
	listener, err := c.listener()
	if err != nil {
		return nil, fmt.Errorf("building the listener: %w", err)
	}
	routes, err := c.routes()
	if err != nil {
		return nil, fmt.Errorf("building the routes: %w", err)
	}
	clusters, err := c.clusters()
	if err != nil {
		return nil, fmt.Errorf("building the clusters: %w", err)
	}
	snapshot := &cache.Snapshot{}
	for typeURL, items := range map[resource.Type][]types.Resource{
		resource.ListenerType: {listener},
		resource.RouteType:    {routes},
		resource.ClusterType:  clusters,
		resource.SecretType:   c.secrets(),
	} {
		version, err := contentHash(items)
		if err != nil {
			return nil, fmt.Errorf("hashing resources of type %s: %w", typeURL, err)
		}
		snapshot.Resources[cache.GetResponseType(typeURL)] = cache.NewResources(version, items)
	}
	if err := snapshot.Consistent(); err != nil {
		return nil, fmt.Errorf("checking the snapshot: %w", err)
	}
	return snapshot, nil
}

// Version is the hash of everything in a snapshot, 12 hex digits.
func Version(s *cache.Snapshot) string {
	h := sha256.New()
	for i := range s.Resources {
		fmt.Fprintln(h, i, s.Resources[i].Version)
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}

func contentHash(items []types.Resource) (string, error) {
	h := sha256.New()
	for _, item := range items {
		b, err := proto.MarshalOptions{Deterministic: true}.Marshal(item)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(h, len(b))
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil))[:12], nil
}
