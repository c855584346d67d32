package registry

import (
	"context"
	"testing"
)

func TestPasswordHashesAreLimited(t *testing.T) {
	r := &Registry{passwords: make(chan struct{}, PasswordHashes())}
	for range PasswordHashes() {
		r.passwords <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := r.hashPassword(ctx, "pw")
	wantErr(t, "no free slot before the context ended", err, context.Canceled)
	<-r.passwords
	if _, err := r.hashPassword(t.Context(), "pw"); err != nil {
		t.Errorf("with a free slot: %v", err)
	}
	if len(r.passwords) != PasswordHashes()-1 {
		t.Errorf("%d slots are taken, want %d", len(r.passwords), PasswordHashes()-1)
	}
}

func FuzzParseArgon(f *testing.F) {
	f.Add(unmatchablePassword)
	f.Add("$argon2id$v=19$m=4294967295,t=1,p=1$AA$AA")
	f.Add("$argon2id$v=19$m=1,t=0,p=0$$")
	f.Fuzz(func(t *testing.T, stored string) {
		a, err := parseArgon(stored)
		if err == nil && (a.memory > 4*argonMemory || a.time < 1 || a.time > 100 || a.threads < 1 || len(a.key) != argonKey) {
			t.Errorf("%q was parsed as %+v", stored, a)
		}
	})
}
