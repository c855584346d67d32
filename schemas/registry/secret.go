package registry

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
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

// hashSecret returns the stored form of a secret. A secret of 256 random bits needs
// neither salt nor a slow hash, because guessing it is hopeless.
func hashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
