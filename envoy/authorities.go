package envoy

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
)

// authorityFiles are the paths of systems' bundles of trusted authorities.
// Source: https://go.dev/src/crypto/x509/root_linux.go
var authorityFiles = []string{
	"/etc/ssl/certs/ca-certificates.crt", // Debian, Ubuntu, Arch
	"/etc/pki/tls/certs/ca-bundle.crt",   // Fedora, RHEL
	"/etc/ssl/ca-bundle.pem",             // openSUSE
	"/etc/ssl/cert.pem",                  // Alpine, macOS
}

// ErrNoAuthorities says that the system has no bundle of trusted certificate authorities.
var ErrNoAuthorities = errors.New("no bundle of trusted certificate authorities: looked at " + strings.Join(authorityFiles, ", ") +
	"; install your system's ca-certificates or set SSL_CERT_FILE")

// Authorities returns the path of the bundle with which providers' certificates are checked, or
// ErrNoAuthorities. SSL_CERT_FILE names another one, as for OpenSSL and Go. Their SSL_CERT_DIR is
// ignored, because Envoy reads one file.
func Authorities(getenv func(string) string) (string, error) {
	if path := getenv("SSL_CERT_FILE"); path != "" {
		if err := checkBundle(path); err != nil {
			return "", fmt.Errorf("reading SSL_CERT_FILE: %w: set it to a PEM bundle, or unset it", err)
		}
		return path, nil
	}
	for _, path := range authorityFiles {
		if checkBundle(path) == nil {
			return path, nil
		}
	}
	return "", ErrNoAuthorities
}

func checkBundle(path string) error {
	text, err := os.ReadFile(path)
	if err == nil && !x509.NewCertPool().AppendCertsFromPEM(text) {
		err = fmt.Errorf("%q holds no certificate", path)
	}
	return err
}
