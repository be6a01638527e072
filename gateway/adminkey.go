package gateway

import (
	"errors"
	"strings"
)

const (
	minGiven      = 32  // characters of a key from outside, behind its prefix
	maxGiven      = 200 // characters of it in all
	minGivenKinds = 10  // different characters in it
)

// CheckAdminKey refuses an admin key from outside that others could guess. It need not be one
// that the gateway made.
func CheckAdminKey(key string) error {
	const allowed = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-"
	secret, ok := strings.CutPrefix(key, GatewayKeyPrefix)
	kinds := map[rune]bool{}
	for _, c := range secret {
		kinds[c] = true
	}
	switch {
	case !ok:
		return errors.New("must begin with agw_, such as agw_ and the output of `openssl rand -hex 32`")
	case len(secret) < minGiven || len(key) > maxGiven:
		return errors.New("must have 32 to 196 characters behind agw_, such as the output of `openssl rand -hex 32`")
	case strings.ContainsFunc(secret, func(c rune) bool { return !strings.ContainsRune(allowed, c) }):
		return errors.New("must be letters, digits, _ and - behind agw_, such as the output of `openssl rand -hex 32`")
	case len(kinds) < minGivenKinds:
		return errors.New("can be guessed: it repeats a few characters; take the output of `openssl rand -hex 32`")
	}
	return nil
}
