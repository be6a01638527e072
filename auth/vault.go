package auth

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"ai-gateway/gateway"
)

// Vault encrypts the secrets that people save. Its key is not the one for sign-in, so that each can
// be changed alone.
type Vault struct {
	// Keys are those of the configuration in force, the newest first.
	Keys func() []gateway.Secret
}

// ErrNoVaultKey says that there is no key, or that a secret was encrypted with another one.
var ErrNoVaultKey = errors.New("the encryption key is not there: set AI_GATEWAY_ENCRYPTION_KEY, and keep the one before behind a comma")

const sealVersion = "v1"

// IsOpen reports whether there is a key.
func (v Vault) IsOpen() bool { return len(v.Keys()) > 0 }

// Seal encrypts a person's secret with the newest key. It can be decrypted for that person only.
func (v Vault) Seal(of gateway.UserID, secret string) (gateway.SealedSecret, error) {
	keys := v.Keys()
	if len(keys) == 0 {
		return "", ErrNoVaultKey
	}
	box, id, err := newBox(keys[0], vaultPurpose)
	if err != nil {
		return "", err
	}
	sealed := seal(box, []byte(secret), string(of))
	return gateway.SealedSecret(strings.Join([]string{sealVersion, id, sealed}, ".")), nil
}

// Unseal decrypts a person's secret with the key that it was encrypted with.
func (v Vault) Unseal(of gateway.UserID, sealed gateway.SealedSecret) (string, error) {
	parts := strings.Split(string(sealed), ".")
	if len(parts) != 3 || parts[0] != sealVersion {
		return "", errors.New("this is not an encrypted secret")
	}
	for _, key := range v.Keys() {
		box, id, err := newBox(key, vaultPurpose)
		if err != nil || id != parts[1] {
			continue
		}
		plain, err := unseal(box, parts[2], string(of))
		return string(plain), err
	}
	return "", ErrNoVaultKey
}

// IsNewest reports whether a secret is encrypted with the newest key.
func (v Vault) IsNewest(sealed gateway.SealedSecret) bool {
	keys := v.Keys()
	if len(keys) == 0 {
		return false
	}
	_, id, err := newBox(keys[0], vaultPurpose)
	return err == nil && strings.HasPrefix(string(sealed), sealVersion+"."+id+".")
}

const vaultPurpose = "what people save"

// newBox derives a cipher for a purpose from a secret, and returns it with the name of its key.
func newBox[S ~string](secret S, purpose string) (box cipher.AEAD, id string, err error) {
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "ai-gateway "+purpose, 32)
	if err != nil {
		return nil, "", fmt.Errorf("deriving a key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(key)
	box, err = cipher.NewGCMWithRandomNonce(block)
	return box, hex.EncodeToString(sum[:4]), err
}

// seal encrypts and authenticates. The additional data must be the same when it is opened.
func seal(box cipher.AEAD, plain []byte, additional string) string {
	return base64.RawURLEncoding.EncodeToString(box.Seal(nil, nil, plain, []byte(additional)))
}

func unseal(box cipher.AEAD, text, additional string) ([]byte, error) {
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("the encrypted text is damaged")
	}
	plain, err := box.Open(nil, nil, sealed, []byte(additional))
	if err != nil {
		return nil, errors.New("the encrypted text is damaged, or somebody else's")
	}
	return plain, nil
}

// randomText returns 256 random bits as text.
func randomText() string {
	var random [32]byte
	rand.Read(random[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(random[:])
}
