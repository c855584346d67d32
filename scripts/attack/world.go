package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// world is a running server and who has an account on it.
type world struct {
	Addr  string `json:"addr"`  // of the public listener
	URL   string `json:"url"`   // of the public listener
	Admin string `json:"admin"` // host:port of the admin listener
	Kafka string `json:"kafka"` // host:port of the embedded broker
	S3    string `json:"s3"`    // host:port of the embedded store
	Dir   string `json:"dir"`   // data folder, for a local user; the attacks do not read secrets from it

	Neighbour account `json:"neighbour"`
	Attacker  account `json:"attacker"`

	server *server
	file   string // where attacks read this from
}

// account is an account with one product and one of each credential.
type account struct {
	ID       string `json:"id"`
	Product  string `json:"product"`
	Key      string `json:"key"`
	Secret   string `json:"secret"`
	Token    string `json:"token"`
	Email    string `json:"email"`
	Password string `json:"password"`

	MoreKeys [][2]string `json:"more_keys"` // keys and secrets of more data sources; the attacker's alone
}

// moreKeys is how many more data sources the attacker has.
const moreKeys = 8

// sampleDays and sampleEvents are the size of the history that each account has.
const (
	sampleDays   = 20
	sampleEvents = 20_000
)

// newWorld starts a server on a new folder, makes the accounts and sends each
// its history.
func newWorld(ctx context.Context, o options) (*world, func() error, error) {
	dir, err := os.MkdirTemp("", "weir-attack-")
	if err != nil {
		return nil, nil, err
	}
	w := &world{Dir: filepath.Join(dir, "data"), file: filepath.Join(dir, "world.json")}
	w.server, err = startServer(ctx, o.weir, w.Dir, strings.Fields(o.args))
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	stop := func() error {
		err := w.server.stop()
		if o.keep {
			fmt.Println("data folder and log:", dir)
			return err
		}
		return errors.Join(err, os.RemoveAll(dir))
	}
	if err := w.fill(ctx, o.weir); err != nil {
		return nil, nil, errors.Join(err, stop())
	}
	return w, stop, nil
}

func (w *world) fill(ctx context.Context, weir string) error {
	if err := w.readAddresses(); err != nil {
		return err
	}
	for name, acc := range map[string]*account{"neighbour": &w.Neighbour, "attacker": &w.Attacker} {
		if err := acc.create(ctx, weir, w.Dir, name); err != nil {
			return err
		}
		if err := acc.sendHistory(ctx, w.URL); err != nil {
			return fmt.Errorf("send the history of the %s: %w", name, err)
		}
	}
	text, err := json.Marshal(w)
	if err != nil {
		return err
	}
	return os.WriteFile(w.file, text, 0o600)
}

// readAddresses reads run.json, which the server writes into its folder.
func (w *world) readAddresses() error {
	text, err := os.ReadFile(filepath.Join(w.Dir, "run.json"))
	if err != nil {
		return err
	}
	var info struct {
		URL, Admin, Kafka string
		S3                struct{ Endpoint string }
	}
	if err := json.Unmarshal(text, &info); err != nil {
		return err
	}
	w.URL, w.Admin, w.Kafka, w.S3 = info.URL, info.Admin, info.Kafka, strings.TrimPrefix(info.S3.Endpoint, "http://")
	w.Addr = strings.TrimPrefix(w.URL, "http://")
	return nil
}

// create makes the account with `weir admin`, as an operator does.
func (acc *account) create(ctx context.Context, weir, dir, name string) error {
	acc.Email, acc.Password = name+"@example.com", "correct horse "+name
	admin := func(out any, stdin string, args ...string) error {
		cmd := exec.CommandContext(ctx, weir, append([]string{"admin", "--data", dir, "--json"}, args...)...) //nolint:gosec // the binary to attack
		cmd.Stdin, cmd.Stderr = strings.NewReader(stdin), os.Stderr
		text, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("weir admin %s: %w", strings.Join(args, " "), err)
		}
		return json.NewDecoder(bytes.NewReader(text)).Decode(out)
	}
	var got map[string]string
	for _, step := range [][]string{
		{"account", "create", "--name", name},
		{"product", "create", "--account", "ACCOUNT", "--name", name},
		{"source", "create", "--product", "PRODUCT", "--name", name},
		{"token", "create", "--account", "ACCOUNT", "--name", name},
		{"user", "create", "--account", "ACCOUNT", "--email", acc.Email, "--password-stdin"},
	} {
		fill := strings.NewReplacer("ACCOUNT", acc.ID, "PRODUCT", acc.Product)
		for i := range step {
			step[i] = fill.Replace(step[i])
		}
		if err := admin(&got, acc.Password, step...); err != nil {
			return err
		}
		acc.ID, acc.Product = got["account_id"], orElse(got["product_id"], acc.Product)
	}
	acc.Key, acc.Secret, acc.Token = got["key"], got["secret"], got["token"]
	for i := range moreKeys {
		if name != "attacker" {
			break
		}
		var more map[string]string
		if err := admin(&more, "", "source", "create", "--product", acc.Product, "--name", fmt.Sprint(name, i)); err != nil {
			return err
		}
		acc.MoreKeys = append(acc.MoreKeys, [2]string{more["key"], more["secret"]})
	}
	return nil
}

func orElse(text, otherwise string) string {
	if text != "" {
		return text
	}
	return otherwise
}

// sendHistory sends days of events that end yesterday.
func (acc *account) sendHistory(ctx context.Context, url string) error {
	c := newClient(4, dialAsNeighbour)
	const size = 200
	for i := range sampleEvents / size {
		at := time.Now().UTC().AddDate(0, 0, -1-i%sampleDays)
		if err := retry(ctx, func() error {
			_, err := answer(c, acc.report(ctx, url, batch(size, 20_000_000_000+int64(i)*100, at)))
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// retry repeats a request that is answered 429 or 503, for half a minute.
func retry(ctx context.Context, send func() error) error {
	var err error
	for range 150 {
		err = send()
		var status statusError
		if err == nil || ctx.Err() != nil || !errors.As(err, &status) || status.status != 429 && status.status != 503 {
			return err
		}
		pause(ctx, 200*time.Millisecond)
	}
	return err
}

func randomID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("%x-%x-4%x-8%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
