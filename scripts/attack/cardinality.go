package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// cardinalityAttacks are names and numbers without end.
func cardinalityAttacks() []attack {
	return []attack{
		{
			name: "new names in each event", who: "one account", what: "sends events of one client with 500 new $client names each",
			run: newNames,
		},
		{
			name: "additions to one list", who: "one account", what: "adds 20,000 members at a time to a list of one client, and asks for it",
			run: listAdditions,
		},
		{
			name: "numbers that wrap sums", who: "one account", what: "sends the largest $value and $runtime, and larger ones, and asks for their sums",
			run: largeNumbers,
		},
	}
}

// attackedClient is the client that the attacks change.
const attackedClient = 77_000_000_001

func newNames(ctx context.Context, t *target) error {
	const connections, requests, events, names = 4, 20, 100, 500
	c, acc := t.client(connections), t.World.Attacker
	var next atomic.Int64
	workers(connections, func(int) {
		repeat(ctx, requests, func() error {
			body := batchOf(events, func(int) item {
				client := make(map[string]string, names)
				for range names {
					client[fmt.Sprintf("n%09d", next.Add(1))] = "v"
				}
				return item{EUID: attackedClient, Name: "view", Time: time.Now().UnixMilli(), RandomID: randomID(), Properties: map[string]any{"$client": client}}
			})
			_, _, err := t.do(c, acc.report(ctx, t.World.URL, body), 1<<20)
			return err
		})
	})
	return nil
}

func listAdditions(ctx context.Context, t *target) error {
	const connections, additions, members = 2, 20, 20_000
	c, acc := t.client(2*connections), t.World.Attacker
	if err := t.loginAttacker(ctx, c); err != nil {
		return err
	}
	question := []byte(`{"properties":["user.tags"],"globalFilters":{"user.tags":{"type":"regex","value":"m1","includeNull":true}}}`)
	var next atomic.Int64
	workers(2*connections, func(i int) {
		repeat(ctx, additions, func() error {
			if i >= connections {
				_, _, err := t.do(c, newRequest(ctx, http.MethodPost, t.World.URL+"/v3/reporting/clientPropertyList/"+acc.Product, question), 8<<20)
				return err
			}
			list := make([]string, members)
			for n := range list {
				list[n] = fmt.Sprintf("m%09d", next.Add(1))
			}
			text, err := json.Marshal(map[string]any{"euid": attackedClient, "type": "add", "properties": map[string]any{"tags": list}})
			if err != nil {
				return err
			}
			_, _, err = t.do(c, acc.basic(newRequest(ctx, http.MethodPost, t.World.URL+"/v1/user/property", text)), 1<<20)
			return err
		})
	})
	return nil
}

// largeNumbers fails if a number beyond the bounds is taken, or if a sum is not the
// exact one of those within.
func largeNumbers(ctx context.Context, t *target) error {
	c, acc := t.client(4), t.World.Attacker
	if err := t.loginAttacker(ctx, c); err != nil {
		return err
	}
	number := func(properties string) []byte {
		return fmt.Appendf(nil, `{"data":[{"euid":%d,"event_name":"session_stop","itime":%d,"random_id":%q,"properties":{"$category":"sums",%s}}]}`,
			attackedClient, time.Now().UnixMilli(), randomID(), properties)
	}
	for _, properties := range []string{
		`"$value":1e18`, `"$value":-99999999999999999999999999999`, `"$value":1e400`, `"$runtime":31622401`, `"$runtime":9000000000000000`, `"$runtime":1e300`,
	} {
		status, text, err := t.do(c, acc.report(ctx, t.World.URL, number(properties)), 1<<20)
		if err != nil {
			return err
		}
		if status < 400 || status >= 500 {
			return fmt.Errorf("%s is answered %d %.200s", properties, status, text)
		}
	}
	largest := map[string]any{"$category": "sums", "$value": json.RawMessage(`999999999999999999.999999999`), "$runtime": 31622400}
	body := batchOf(200, func(int) item {
		return item{EUID: attackedClient, Name: "sum", Time: time.Now().UnixMilli(), RandomID: randomID(), Properties: largest}
	})
	if err := retry(ctx, func() error { _, err := answer(c, acc.report(ctx, t.World.URL, body)); return err }); err != nil {
		return err
	}
	return askSum(ctx, t, c)
}

// askSum asks until all of the largest values are in the answer, or ctx ends. The
// sum may be of more of them, after an attack before.
func askSum(ctx context.Context, t *target, c *http.Client) error {
	question := []byte(`{"startDate":"NOW","stopDate":"NOW"}`)
	for ctx.Err() == nil {
		text, err := answer(c, newRequest(ctx, http.MethodPost, t.World.URL+"/v3/reporting/eventTracking/basic/dataTable/"+t.World.Attacker.Product, question))
		switch {
		case err != nil:
			return err
		case strings.Contains(string(text), `"overflow"`) || strings.Contains(string(text), `"cumulativeValue":-`):
			return errors.New("the sum of the largest values is wrong")
		case strings.Contains(string(text), `"cumulativeValue":19999999999999999999`):
			return nil
		}
		pause(ctx, 500*time.Millisecond)
	}
	return nil
}
