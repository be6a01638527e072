package envoy

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// authorityFiles are where systems keep the bundle of authorities that they trust.
// Source: https://go.dev/src/crypto/x509/root_linux.go
var authorityFiles = []string{
	"/etc/ssl/certs/ca-certificates.crt", // Debian, Ubuntu, Arch
	"/etc/pki/tls/certs/ca-bundle.crt",   // Fedora, RHEL
	"/etc/ssl/ca-bundle.pem",             // openSUSE
	"/etc/ssl/cert.pem",                  // Alpine, macOS
}

// Authorities is the bundle that providers' certificates are checked with.
// SSL_CERT_FILE names another one, as for OpenSSL and Go.
func Authorities(getenv func(string) string) (string, error) {
	if path := getenv("SSL_CERT_FILE"); path != "" {
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("looking at SSL_CERT_FILE: %w: set it to a PEM bundle, or unset it", err)
		}
		return path, nil
	}
	for _, path := range authorityFiles {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", errors.New("no bundle of trusted certificate authorities: looked at " + strings.Join(authorityFiles, ", ") +
		"; install your system's ca-certificates or set SSL_CERT_FILE")
}
