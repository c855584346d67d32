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

// What we hand out tells by its beginning what it is, also to a scanner that
// looks for leaked secrets.
const (
	accountPrefix = "acc_"
	userPrefix    = "usr_"
	tokenPrefix   = "tok_"
	sourcePrefix  = "src_"
	secretPrefix  = "weir_"
)

// newID is a random id of 128 bits.
func newID(prefix string) string { return prefix + strings.ToLower(rand.Text()) }

// isSourceKey reports whether key has the shape of what newID makes: another
// one is nobody's, and needs no look into the database.
func isSourceKey(key string) bool {
	rest, ok := strings.CutPrefix(key, sourcePrefix)
	return ok && len(rest) == 26 && strings.Trim(rest, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// newSecret is 256 random bits in the letters of base64url.
func newSecret() string {
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // never fails: it ends the process instead
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// newProductID is a random number of ten digits.
func newProductID() (int64, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(9_000_000_000))
	if err != nil {
		return 0, err
	}
	return 1_000_000_000 + n.Int64(), nil
}

// hashSecret is what is stored of a secret. A secret of 256 random bits needs no
// salt and no slow hash: there is nothing to guess.
func hashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// Csrf is the token that belongs to a session. It follows from the session's
// id, so it needs no storage, and it does not tell the id.
func Csrf(session string) string {
	mac := hmac.New(sha256.New, []byte(session))
	mac.Write([]byte("csrf"))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
