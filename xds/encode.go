package xds

import (
	"fmt"
	"net/netip"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// encoder packs messages into Any and keeps the first error.
type encoder struct {
	err    error
	static bool // everything is inline, nothing comes over ADS
	apart  bool // resources come from the agent's server, although another server is the ADS server
}

func (e *encoder) any(m proto.Message) *anypb.Any {
	a := &anypb.Any{}
	if err := anypb.MarshalFrom(a, m, proto.MarshalOptions{Deterministic: true}); err != nil && e.err == nil {
		e.err = fmt.Errorf("encoding %s: %w", m.ProtoReflect().Descriptor().FullName(), err)
	}
	return a
}

func (e *encoder) extension(name string, m proto.Message) *core.TypedExtensionConfig {
	return &core.TypedExtensionConfig{Name: name, TypedConfig: e.any(m)}
}

func (e *encoder) filter(name string, m proto.Message) *hcm.HttpFilter {
	return &hcm.HttpFilter{Name: name, ConfigType: &hcm.HttpFilter_TypedConfig{TypedConfig: e.any(m)}}
}

// disabled is a filter that runs only for routes that enable it.
func (e *encoder) disabled(name string, m proto.Message) *hcm.HttpFilter {
	f := e.filter(name, m)
	f.Disabled = true
	return f
}

func (e *encoder) requestID(m proto.Message) *hcm.RequestIDExtension {
	return &hcm.RequestIDExtension{TypedConfig: e.any(m)}
}

func (e *encoder) tlsSocket(m proto.Message) *core.TransportSocket {
	return &core.TransportSocket{
		Name:       "envoy.transport_sockets.tls",
		ConfigType: &core.TransportSocket_TypedConfig{TypedConfig: e.any(m)},
	}
}

// ads is a config source: the aggregated stream, or a separate stream to the agent if the
// aggregated one belongs to another server.
func (e *encoder) ads() *core.ConfigSource {
	switch {
	case e.static:
		return nil
	case e.apart:
		return fromAgent()
	}
	return &core.ConfigSource{
		ResourceApiVersion:    core.ApiVersion_V3,
		ConfigSourceSpecifier: &core.ConfigSource_Ads{Ads: &core.AggregatedConfigSource{}},
	}
}

func tcpAddress(host string, port int) *core.Address {
	return &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
		Address: host, PortSpecifier: &core.SocketAddress_PortValue{PortValue: uint32(port)},
		Ipv4Compat: host == "::", // all addresses, including IPv4
	}}}
}

// localAddress is a service's of this machine: a Unix socket's path, or IP:PORT.
func localAddress(at string) *core.Address {
	if port, err := netip.ParseAddrPort(at); err == nil {
		return tcpAddress(port.Addr().String(), int(port.Port()))
	}
	return &core.Address{Address: &core.Address_Pipe{Pipe: &core.Pipe{Path: at}}}
}
