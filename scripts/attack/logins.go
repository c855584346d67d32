package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
)

// loginsAttacks are guesses of passwords.
func loginsAttacks() []attack {
	return []attack{
		{
			name: "guesses at one password", who: "stranger", what: "guesses the neighbour's password, 100 at once, the last of each hundred right",
			run: func(ctx context.Context, t *target) error {
				return guessAll(ctx, t, func(int) (string, string) { return attackerAddr, t.World.Neighbour.Email })
			},
		},
		{
			name: "guesses from many addresses", who: "stranger", what: "guesses the neighbour's password from 200 addresses, 100 at once",
			run: func(ctx context.Context, t *target) error {
				return guessAll(ctx, t, func(i int) (string, string) {
					return fmt.Sprintf("127.7.%d.%d", i/100%2, 1+i%100), t.World.Neighbour.Email
				})
			},
		},
		{
			name: "guesses at many names", who: "stranger", what: "tries one password at thousands of names, 100 at once",
			run: func(ctx context.Context, t *target) error {
				return guessAll(ctx, t, func(i int) (string, string) { return attackerAddr, fmt.Sprintf("user%d@example.com", i) })
			},
		},
		{
			name: "guesses behind a shared address", who: "stranger", what: "tries one password at thousands of names from the address that the neighbour has, 100 at once",
			run: func(ctx context.Context, t *target) error {
				return guessAll(ctx, t, func(i int) (string, string) { return neighbourAddr, fmt.Sprintf("user%d@example.com", i) })
			},
		},
		{
			name: "logins of one account", who: "one account", what: "logs in with its own password from 50 addresses, again and again",
			run: ownLogins,
		},
	}
}

// guesses is how many passwords an attack tries at most.
const guesses = 5000

// guessAll guesses 100 at a time. who says from where the i-th guess comes and at
// whom. It is an error if a stranger got in, or if as many passwords were checked
// as were sent.
func guessAll(ctx context.Context, t *target, who func(i int) (from, name string)) error {
	clients := map[string]*http.Client{} // by address
	var mu sync.Mutex
	var i int
	var open error
	workers(100, func(int) {
		for ctx.Err() == nil {
			mu.Lock()
			n := i
			i++
			from, name := who(n)
			if clients[from] == nil {
				clients[from] = t.clientFrom(100, from)
			}
			c := clients[from]
			mu.Unlock()
			if n >= guesses {
				return
			}
			password := fmt.Sprintf("guess %d", n)
			if n%100 == 99 && n > 200 && name == t.World.Neighbour.Email {
				password = t.World.Neighbour.Password
			}
			req := newRequest(ctx, http.MethodPost, t.World.URL+"/v3/auth/web", fmt.Appendf(nil, `{"userName":%q,"password":%q}`, name, password))
			req.Header.Set("Cookie", "RUI-Csrf=any")
			status, _, err := t.do(c, req, 1<<16)
			if err == nil && status == http.StatusOK {
				mu.Lock()
				open = errors.New("the right one of hundreds of guesses got in")
				mu.Unlock()
			}
		}
	})
	return open
}

// ownLogins costs hashes without a wrong password.
func ownLogins(ctx context.Context, t *target) error {
	acc := t.World.Attacker
	workers(50, func(i int) {
		c := t.clientFrom(2, fmt.Sprintf("127.8.0.%d", 1+i))
		repeat(ctx, 100, func() error {
			req := newRequest(ctx, http.MethodPost, t.World.URL+"/v3/auth/web", fmt.Appendf(nil, `{"userName":%q,"password":%q}`, acc.Email, acc.Password))
			req.Header.Set("Cookie", "RUI-Csrf=any")
			_, _, err := t.do(c, req, 1<<16)
			return err
		})
	})
	return nil
}
