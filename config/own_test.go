package config

import (
	"net"
	"strings"
	"testing"
)

// ownAddress is one of this machine's that is not loopback; "" where there is none.
func ownAddress() string {
	all, _ := net.InterfaceAddrs()
	for _, a := range all {
		if ip, _, err := net.ParseCIDR(a.String()); err == nil && !ip.IsLoopback() && ip.To4() != nil {
			return ip.String()
		}
	}
	return ""
}

func TestTheGatewayIsNoBackendOfItsOwn(t *testing.T) {
	own := ownAddress()
	for _, c := range []struct {
		bind, upstream string
		refused        bool
	}{
		{"127.0.0.1", "http://127.0.0.1:3002/v1", true},
		{"127.0.0.1", "http://localhost:3002/v1", true},
		{"127.0.0.1", "http://LOCALHOST.:3002/v1", true},
		{"127.0.0.1", "http://gw.localhost:3002", true},
		{"127.0.0.1", "http://0.0.0.0:3002/v1", true},
		{"127.0.0.1", "https://[::ffff:127.0.0.1]:3002/v1", true},
		{"::1", "http://[::1]:3002/v1", true},
		{"0.0.0.0", "http://127.0.0.9:3002/v1", true},
		{"::", "http://127.0.0.1:3002/v1", true},
		{"0.0.0.0", "http://" + own + ":3002/v1", own != ""},
		{"127.0.0.1", "http://127.0.0.1:3003/v1", false},
		{"127.0.0.1", "http://127.0.0.2:3002/v1", false},
		{"127.0.0.1", "http://192.0.2.1:3002/v1", false},
		{"0.0.0.0", "http://192.0.2.1:3002/v1", false},
		{"0.0.0.0", "https://gateway.example.com:3002/v1", false},
		{"127.0.0.1", "http://localhost/v1", false},
	} {
		if strings.Contains(c.upstream, "//:") {
			continue // this machine has no other address
		}
		for _, env := range [][]string{{"AI_GATEWAY_UPSTREAM", c.upstream}, {"AI_GATEWAY_MODEL_ROUTES", "m:" + c.upstream}} {
			values := map[string]string{"AI_GATEWAY_BIND": c.bind, env[0]: env[1]}
			_, err := Load("", func(name string) string { return values[name] })
			if refused := err != nil && strings.Contains(err.Error(), "is this gateway's own address"); refused != c.refused || !refused && err != nil {
				t.Errorf("%s at %s: %v", env, c.bind, err)
			}
		}
	}
}
