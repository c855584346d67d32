package embedded

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
)

const (
	scramMechanism  = "SCRAM-SHA-256"
	scramIterations = 4096 // the least that RFC 7677 allows; the password is 256 random bits, so more would protect nothing
	scramNonce      = 256  // bytes of a client's nonce
)

// errWrongLogin is the same for a wrong user, a wrong password and a message that
// is not SCRAM.
var errWrongLogin = errors.New("wrong user or password")

// scramKeys are what a server keeps of a password (RFC 5802, section 3). They do
// not suffice to log in.
type scramKeys struct {
	user           string
	salt           []byte
	stored, server []byte
}

func newScramKeys(login Login) (scramKeys, error) {
	salt := make([]byte, 16)
	rand.Read(salt) // never fails (crypto/rand)
	salted, err := pbkdf2.Key(sha256.New, login.Password, salt, scramIterations, sha256.Size)
	if err != nil {
		return scramKeys{}, err
	}
	stored := sha256.Sum256(macOf(salted, "Client Key"))
	return scramKeys{user: login.User, salt: salt, stored: stored[:], server: macOf(salted, "Server Key")}, nil
}

// scramTalk is the server's side of one login. first and final are called in this
// order, once each.
type scramTalk struct {
	keys  scramKeys
	nonce string // of both sides
	said  string // client-first-message-bare, server-first-message
}

// first answers the client's first message. The only form that is taken is the
// one that our clients send: no channel binding, no other identity, no extensions.
func (t *scramTalk) first(message string) (string, error) {
	bare, ok := strings.CutPrefix(message, "n,,")
	name, nonce, both := strings.Cut(bare, ",")
	nonce, marked := strings.CutPrefix(nonce, "r=")
	if !ok || !both || !marked || name != "n="+t.keys.user || nonce == "" || len(nonce) > scramNonce || strings.Contains(nonce, ",") {
		return "", errWrongLogin
	}
	t.nonce = nonce + rand.Text()
	answer := "r=" + t.nonce + ",s=" + base64.StdEncoding.EncodeToString(t.keys.salt) + ",i=" + strconv.Itoa(scramIterations)
	t.said = bare + "," + answer
	return answer, nil
}

// final checks the client's proof and returns the server's, by which the client
// knows that the server has the password's keys.
func (t *scramTalk) final(message string) (string, error) {
	unproved := "c=biws,r=" + t.nonce // biws is "n,,"
	text, ok := strings.CutPrefix(message, unproved+",p=")
	proof, err := base64.StdEncoding.DecodeString(text)
	if t.nonce == "" || !ok || err != nil || len(proof) != sha256.Size {
		return "", errWrongLogin
	}
	said := t.said + "," + unproved
	subtle.XORBytes(proof, proof, macOf(t.keys.stored, said))
	if key := sha256.Sum256(proof); subtle.ConstantTimeCompare(key[:], t.keys.stored) != 1 {
		return "", errWrongLogin
	}
	return "v=" + base64.StdEncoding.EncodeToString(macOf(t.keys.server, said)), nil
}

func macOf(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}
