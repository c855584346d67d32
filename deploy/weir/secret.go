package main

import (
	"crypto/rand"
	"encoding/hex"
)

// randomText returns bytes random bytes in hexadecimal.
func randomText(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b) // never fails (crypto/rand)
	return hex.EncodeToString(b)
}
