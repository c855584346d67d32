package logins

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"sync"
	"time"
)

const (
	// DeviceAge is how long a device is known after its last login.
	DeviceAge = 90 * 24 * time.Hour

	deviceRenewal = DeviceAge / 3 // age at which a login gives a new cookie
	deviceBytes   = 8 + 16 + sha256.Size
)

// devices makes and checks the cookies of devices that a user has logged in from.
// A cookie is the time, a random id, and a MAC over both and the user's name; it
// lets nobody in, but a name that others guess at stays open to it.
type devices struct {
	load func(ctx context.Context) (string, error) // the key, the same in all processes

	mu  sync.Mutex
	key []byte // nil until it was loaded
}

func (d *devices) loadKey(ctx context.Context) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.key != nil {
		return d.key, nil
	}
	text, err := d.load(ctx)
	if err != nil {
		return nil, err
	}
	d.key = []byte(text)
	return d.key, nil
}

// mac is the end of the cookie that begins with head.
func mac(key, head []byte, name string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte("device of a user\x00"))
	m.Write(head)
	m.Write([]byte(name))
	return m.Sum(nil)
}

// issue returns a cookie for name.
func (d *devices) issue(ctx context.Context, name string) (string, error) {
	key, err := d.loadKey(ctx)
	if err != nil {
		return "", err
	}
	head := binary.BigEndian.AppendUint64(make([]byte, 0, deviceBytes), uint64(time.Now().Unix()))
	head = head[:8+16]
	rand.Read(head[8:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(append(head, mac(key, head, name)...)), nil
}

// device is what a cookie says.
type device struct {
	id  [16]byte
	age time.Duration
}

// check returns the device of a cookie for name, or false: it was not made here,
// or not for name, or is too old. Without its key no device is known.
func (d *devices) check(ctx context.Context, cookie, name string) (device, bool) {
	if len(cookie) != base64.RawURLEncoding.EncodedLen(deviceBytes) {
		return device{}, false
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(cookie)
	if err != nil || len(text) != deviceBytes {
		return device{}, false
	}
	key, err := d.loadKey(ctx)
	if err != nil || !hmac.Equal(text[24:], mac(key, text[:24], name)) {
		return device{}, false
	}
	age := time.Since(time.Unix(int64(binary.BigEndian.Uint64(text)), 0))
	return device{[16]byte(text[8:24]), age}, age <= DeviceAge && age > -time.Hour
}
