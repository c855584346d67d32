package registry

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Cost of one password hash: the second recommended option of RFC 9106, section 4.
// At most two run at once, so that a burst of logins waits instead of exhausting
// memory.
const (
	argonMemory  = 64 << 10 // KiB
	argonTime    = 3        // passes
	argonThreads = 4
	argonSalt    = 16 // bytes
	argonKey     = 32 // bytes
	maxPassword  = 1024
)

// PasswordHashes is how many are computed at once, one or two; the next wait. One
// keeps four processors busy, so that more would not be faster, and would leave
// less to the rest of the process.
func PasswordHashes() int { return min(max(runtime.GOMAXPROCS(0)/argonThreads, 1), 2) }

// unmatchablePassword is compared when no user has the email, so that the response
// takes the same time. No password hashes to its zeroes.
const unmatchablePassword = "$argon2id$v=19$m=65536,t=3,p=4$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" //nolint:gosec // not a credential: it matches no password

// argon is a stored password hash: parameters, salt and key.
type argon struct {
	memory, time uint32
	threads      uint8
	salt, key    []byte
}

// hashPassword returns the hash of password in the PHC string format.
func (r *Registry) hashPassword(ctx context.Context, password string) (string, error) {
	if password == "" || len(password) > maxPassword {
		return "", fmt.Errorf("%w: a password has 1 to %d bytes", ErrInvalid, maxPassword)
	}
	a := argon{memory: argonMemory, time: argonTime, threads: argonThreads, salt: make([]byte, argonSalt)}
	_, _ = rand.Read(a.salt) // never returns an error: it crashes the process instead
	key, err := r.derive(ctx, a, password)
	if err != nil {
		return "", err
	}
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, a.memory, a.time, a.threads,
		b64.EncodeToString(a.salt), b64.EncodeToString(key)), nil
}

// matchPassword reports whether password has the stored hash.
func (r *Registry) matchPassword(ctx context.Context, stored, password string) (bool, error) {
	if len(password) > maxPassword {
		return false, nil
	}
	a, err := parseArgon(stored)
	if err != nil {
		return false, err
	}
	key, err := r.derive(ctx, a, password)
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(key, a.key) == 1, nil
}

// derive computes the key after waiting for one of the PasswordHashes slots.
func (r *Registry) derive(ctx context.Context, a argon, password string) ([]byte, error) {
	select {
	case r.passwords <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-r.passwords }()
	return argon2.IDKey([]byte(password), a.salt, a.time, a.memory, a.threads, argonKey), nil
}

var errDamaged = errors.New("stored password hash is damaged")

// parseArgon parses the PHC string format, and refuses costs that Weir never writes,
// as a manipulated row could otherwise exhaust memory.
func parseArgon(stored string) (argon, error) {
	parts := strings.Split(stored, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return argon{}, errDamaged
	}
	var a argon
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &a.memory, &a.time, &a.threads); err != nil || n != 3 {
		return argon{}, errDamaged
	}
	if a.memory > 4*argonMemory || a.time < 1 || a.time > 100 || a.threads < 1 {
		return argon{}, errDamaged
	}
	var errSalt, errKey error
	a.salt, errSalt = base64.RawStdEncoding.DecodeString(parts[4])
	a.key, errKey = base64.RawStdEncoding.DecodeString(parts[5])
	if errSalt != nil || errKey != nil || len(a.key) != argonKey {
		return argon{}, errDamaged
	}
	return a, nil
}
