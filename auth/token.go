package auth

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"hash/crc32"
	"strings"

	"ai-gateway/gateway"
)

// A token is the text of a gateway key: "agw_", 256 random bits in base 62, and a checksum
// of all before it. The checksum finds typing errors and other people's tokens before
// anything is looked up, and lets scanners of leaked secrets be sure of what they found.
const (
	digits         = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	randomDigits   = 43 // of base 62 hold 256 bits
	checksumDigits = 6  // of base 62 hold 32 bits
	tokenLength    = len(gateway.GatewayKeyPrefix) + randomDigits + checksumDigits
	shownLength    = len(gateway.GatewayKeyPrefix) + 6 // of a token, to recognise it by: 36 bits of 256
)

// token is a well-formed token.
type token string

// newToken makes a token from the system's random numbers.
func newToken() token {
	var random [32]byte
	rand.Read(random[:]) // never fails; see its documentation
	text := gateway.GatewayKeyPrefix + base62(random[:], randomDigits)
	sum := checksum(text)
	return token(text + string(sum[:]))
}

// base62 writes a number in base 62 with a fixed number of digits, which must suffice.
func base62(number []byte, n int) string {
	out, rest := make([]byte, n), bytes.Clone(number)
	for i := range out {
		remainder := 0
		for j, b := range rest {
			remainder = remainder<<8 | int(b)
			rest[j], remainder = byte(remainder/len(digits)), remainder%len(digits)
		}
		out[n-1-i] = digits[remainder]
	}
	return string(out)
}

// checksum is the CRC-32 of a string, in base 62.
func checksum(text string) (sum [checksumDigits]byte) {
	n := crc32.ChecksumIEEE([]byte(text))
	for i := range sum {
		sum[checksumDigits-1-i] = digits[n%uint32(len(digits))]
		n /= uint32(len(digits))
	}
	return sum
}

// parseToken returns the token if the text is well formed.
func parseToken(text string) (token, bool) {
	if len(text) != tokenLength || !strings.HasPrefix(text, gateway.GatewayKeyPrefix) {
		return "", false
	}
	for _, c := range []byte(text[len(gateway.GatewayKeyPrefix):]) {
		if strings.IndexByte(digits, c) < 0 {
			return "", false
		}
	}
	body := text[:tokenLength-checksumDigits]
	sum := checksum(body)
	return token(text), string(sum[:]) == text[len(body):]
}

// hash is what is kept of a token.
func (t token) hash() gateway.KeyHash { return sha256.Sum256([]byte(t)) }

// prefix is what is shown of a token.
func (t token) prefix() string { return string(t[:shownLength]) }

// String hides the token, so that printing one shows no secret.
func (t token) String() string { return t.prefix() + "…" }
