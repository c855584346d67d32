package registry

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"strings"
)

// Prefixes of ids and secrets. They tell people, and scanners for leaked secrets, what
// a string is.
const (
	accountPrefix = "acc_"
	userPrefix    = "usr_"
	tokenPrefix   = "tok_"
	sourcePrefix  = "src_"
	secretPrefix  = "weir_"
)

// newID returns a random id of 128 bits.
func newID(prefix string) string { return prefix + strings.ToLower(rand.Text()) }

// isSourceKey reports whether key has the format of newID. A key of another format
// cannot exist, so it needs no query.
func isSourceKey(key string) bool {
	rest, ok := strings.CutPrefix(key, sourcePrefix)
	return ok && len(rest) == 26 && strings.Trim(rest, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// newSecret returns 256 random bits as base64url.
func newSecret() string {
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // never returns an error: it crashes the process instead
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// newProductID returns a random number of ten digits.
func newProductID() (int64, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(9_000_000_000))
	if err != nil {
		return 0, err
	}
	return 1_000_000_000 + n.Int64(), nil
}

// hashSecret returns the stored form of a secret. A secret of 256 random bits needs
// neither salt nor a slow hash, because guessing it is hopeless.
func hashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// Csrf returns the CSRF token of a session. It is derived from the session's id, so it
// needs no storage, and it does not reveal the id.
func Csrf(session string) string {
	mac := hmac.New(sha256.New, []byte(session))
	mac.Write([]byte("csrf"))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
