package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"weir/deploy/conns"
)

// ask sends a request and decodes its answer.
func ask(conn net.Conn, req kmsg.Request) (kmsg.Response, error) {
	if _, err := conn.Write(frameOf(req)); err != nil {
		return nil, err
	}
	var head [8]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint32(head[:])-4)
	if _, err := io.ReadFull(conn, body); err != nil {
		return nil, err
	}
	resp := req.ResponseKind()
	return resp, resp.ReadFrom(body)
}

// logInByHand logs in with the client's half of SCRAM in franz-go.
func logInByHand(conn net.Conn, login Login) error {
	hello := kmsg.NewPtrSASLHandshakeRequest()
	hello.Version, hello.Mechanism = 1, scramMechanism
	if _, err := ask(conn, hello); err != nil {
		return err
	}
	session, say, err := scram.Auth{User: login.User, Pass: login.Password}.AsSha256Mechanism().Authenticate(context.Background(), "") //nolint:forbidigo // it waits for nothing
	for done := false; !done && err == nil; {
		req := kmsg.NewPtrSASLAuthenticateRequest()
		req.Version, req.SASLAuthBytes = 1, say
		var resp kmsg.Response
		if resp, err = ask(conn, req); err != nil {
			return err
		}
		got, ok := resp.(*kmsg.SASLAuthenticateResponse)
		if !ok || got.ErrorCode != 0 {
			return fmt.Errorf("refused: %+v", resp)
		}
		done, say, err = session.Challenge(got.SASLAuthBytes)
	}
	return err
}

func TestLoginOfTheBroker(t *testing.T) {
	wrong := parts.Login
	wrong.Password += "x"
	for name, c := range map[string]struct {
		mechanism sasl.Mechanism
		want      error
	}{
		"right":          {scram.Auth{User: parts.Login.User, Pass: parts.Login.Password}.AsSha256Mechanism(), nil},
		"wrong password": {scram.Auth{User: wrong.User, Pass: wrong.Password}.AsSha256Mechanism(), kerr.SaslAuthenticationFailed},
		"wrong user":     {scram.Auth{User: "admin", Pass: parts.Login.Password}.AsSha256Mechanism(), kerr.SaslAuthenticationFailed},
		"SHA-512":        {scram.Auth{User: parts.Login.User, Pass: parts.Login.Password}.AsSha512Mechanism(), kerr.UnsupportedSaslMechanism},
		"PLAIN":          {plain.Auth{User: parts.Login.User, Pass: parts.Login.Password}.AsMechanism(), kerr.UnsupportedSaslMechanism},
	} {
		t.Run(name, func(t *testing.T) {
			cl, err := kgo.NewClient(kgo.SeedBrokers(parts.Kafka), kgo.SASL(c.mechanism), kgo.RequestRetries(0))
			if err != nil {
				t.Fatal(err)
			}
			defer cl.Close()
			if _, err := kadm.NewClient(cl).ListBrokers(t.Context()); !errors.Is(err, c.want) {
				t.Errorf("list brokers: %v, want %v", err, c.want)
			}
		})
	}
}

// TestLoginIsKeptWithTheData: it is made once, for the owner alone, and a folder
// that has none, of a version before, gets one.
func TestLoginIsKeptWithTheData(t *testing.T) {
	dir := t.TempDir()
	first, err := brokerLogin(dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := brokerLogin(dir)
	if err != nil || again != first || len(first.Password) != 64 {
		t.Errorf("login %+v, then %+v, %v", first, again, err)
	}
	path := filepath.Join(dir, loginFile)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v, %v; want mode 0600", path, info.Mode(), err)
	}
	for _, damaged := range []string{"{}", "", `{"user":"weir"}`} {
		if err := os.WriteFile(path, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := brokerLogin(dir); err == nil {
			t.Errorf("%q was taken as a login", damaged)
		}
	}
}

// TestServedRequestsAreThoseOfTheBroker: kfake implements each version that we say
// is served, so that a client never chooses one that is not.
func TestServedRequestsAreThoseOfTheBroker(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	conn := dial(t, cluster.ListenAddrs()[0])
	resp, err := ask(conn, kmsg.NewPtrApiVersionsRequest())
	if err != nil {
		t.Fatal(err)
	}
	list, ok := resp.(*kmsg.ApiVersionsResponse)
	if !ok {
		t.Fatalf("%T", resp)
	}
	theirs := map[int16]servedRequest{}
	for _, k := range list.ApiKeys {
		theirs[k.ApiKey] = servedRequest{k.ApiKey, k.MinVersion, k.MaxVersion}
	}
	for _, ours := range served() {
		if theirs[ours.key] != ours {
			t.Errorf("%s: served %+v, kfake has %+v", kmsg.NameForKey(ours.key), ours, theirs[ours.key])
		}
	}
}

// TestStrangersAreBounded: one more connection without a login closes the oldest of
// them, whoever has logged in stays, and who says nothing is closed in time.
func TestStrangersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, err := newGuard(Config{MaxLogins: 3, Conns: conns.New(conns.Config{}, nil, nil), Log: slog.New(slog.DiscardHandler)}, Login{"u", "p"})
		if err != nil {
			t.Fatal(err)
		}
		enter := func() (net.Conn, chan error) {
			ours, theirs := net.Pipe()
			conn := &guardedConn{Conn: ours, guard: g}
			g.enter(conn)
			ended := make(chan error, 1)
			go func() {
				_, err := conn.Read(make([]byte, 1))
				_ = conn.Close()
				ended <- err
			}()
			return theirs, ended
		}
		known, knownEnded := enter()
		if err := logInByHand(known, Login{"u", "p"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // until the server knows it, too
		var ends []chan error
		for range 5 {
			_, ended := enter()
			ends = append(ends, ended)
		}
		synctest.Wait()
		for i, ended := range ends {
			if closed := len(ended) == 1; closed != (i < 2) {
				t.Errorf("connection %d: closed %v", i, closed)
			}
		}
		time.Sleep(loginTimeout + time.Second)
		synctest.Wait()
		for i, ended := range ends {
			if len(ended) != 1 {
				t.Errorf("connection %d is open after the time for a login", i)
			}
		}
		if len(g.waiting) != 0 || len(knownEnded) != 0 {
			t.Errorf("%d connections wait for a login; the known one ended: %d", len(g.waiting), len(knownEnded))
		}
		for reason, want := range map[string]float64{reasonCrowded: 2, reasonLate: 3} {
			var m dto.Metric
			if err := g.refused.WithLabelValues(reason).Write(&m); err != nil || m.GetCounter().GetValue() != want {
				t.Errorf("refused for %s: %v, want %v, %v", reason, m.GetCounter().GetValue(), want, err)
			}
		}
		known.Close()
		synctest.Wait()
	})
}

// TestScramTakesNoOtherForm: what is not the one form that our clients send is refused.
func TestScramTakesNoOtherForm(t *testing.T) {
	keys, err := newScramKeys(Login{"user", "pencil"})
	if err != nil {
		t.Fatal(err)
	}
	for name, messages := range map[string][2]string{
		"no channel binding flag": {"y,,n=user,r=abc", ""},
		"other identity":          {"n,a=root,n=user,r=abc", ""},
		"extension":               {"n,,n=user,r=abc,x=1", ""},
		"no nonce":                {"n,,n=user,r=", ""},
		"no proof":                {"n,,n=user,r=abc", "c=biws,r=abc"},
		"another nonce":           {"n,,n=user,r=abc", "c=biws,r=abc,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="},
	} {
		talk := scramTalk{keys: keys}
		_, err := talk.first(messages[0])
		if err == nil && messages[1] != "" {
			_, err = talk.final(messages[1])
		}
		if !errors.Is(err, errWrongLogin) {
			t.Errorf("%s: %v, want %v", name, err, errWrongLogin)
		}
	}
	if _, err := (&scramTalk{keys: keys}).final("c=biws,r=,p="); !errors.Is(err, errWrongLogin) {
		t.Errorf("final before first: %v", err)
	}
}
