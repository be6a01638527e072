package gateway

import (
	"errors"
	"strings"
)

const (
	minGiven      = 32  // characters of an operator's own key, after its prefix
	maxGiven      = 200 // characters in all
	minGivenKinds = 10  // different characters in it
)

// CheckAdminKey refuses an operator's own admin key if others could guess it.
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
		return errors.New("must have 32 to 196 characters after agw_, such as the output of `openssl rand -hex 32`")
	case strings.ContainsFunc(secret, func(c rune) bool { return !strings.ContainsRune(allowed, c) }):
		return errors.New("must be letters, digits, _ and - after agw_, such as the output of `openssl rand -hex 32`")
	case len(kinds) < minGivenKinds:
		return errors.New("can be guessed, because it repeats a few characters: use the output of `openssl rand -hex 32`")
	}
	return nil
}
