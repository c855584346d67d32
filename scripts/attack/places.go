package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// placesAttacks are clients that hold places.
func placesAttacks() []attack {
	return []attack{
		{
			name: "slow readers", who: "one account", what: "asks for 64 pages of 1,000 events and reads 64 KiB a second of each",
			run: slowReaders,
		},
		{
			name: "downloads of open days", who: "one account", what: "asks for today's files of all kinds over 24 connections, again and again",
			run: openDayDownloads,
		},
		{
			name: "flood of registrations", who: "one account", what: "registers 100 new names at a time over 60 connections as fast as it can",
			run: floodOfRegistrations,
		},
	}
}

// slowReaders ask for large pages of the Events API and read them little by little.
func slowReaders(ctx context.Context, t *target) error {
	c, acc := t.client(64), t.World.Attacker
	c.Timeout = 0 // the attack is to read slowly
	body := fmt.Appendf(nil, `{"startDate":%q,"paging":{"page":1,"perPage":1000}}`, time.Now().UTC().AddDate(0, 0, -sampleDays).Format(time.DateOnly))
	workers(64, func(int) {
		repeat(ctx, 200, func() error {
			resp, err := c.Do(acc.bearer(newRequest(ctx, http.MethodPost, t.World.URL+"/analytics/api/v1/events", body)))
			if err != nil {
				t.count("none")
				return err
			}
			defer resp.Body.Close() //nolint:errcheck // only read from
			t.count(fmt.Sprint(resp.StatusCode))
			for ctx.Err() == nil {
				if _, err := io.CopyN(io.Discard, resp.Body, 16<<10); err != nil {
					return err
				}
				pause(ctx, 250*time.Millisecond)
			}
			return nil
		})
	})
	return nil
}

// openDayDownloads ask for the files of today, which change with each event, while
// a few events arrive.
func openDayDownloads(ctx context.Context, t *target) error {
	c, acc := t.client(24), t.World.Attacker
	if err := t.loginAttacker(ctx, c); err != nil {
		return err
	}
	today := time.Now().UTC().Format(time.DateOnly)
	kinds := []struct{ path, mark string }{{"rawEvents/download", ""}, {"customEventTracking", "_cust"}, {"exceptionTracking", "_exc"}}
	workers(24, func(i int) {
		kind := kinds[i%len(kinds)]
		body := fmt.Appendf(nil, `{"fileName":"%s%s_%s.zip"}`, acc.Product, kind.mark, today)
		repeat(ctx, 500, func() error {
			if i == 0 {
				if _, _, err := t.do(c, acc.report(ctx, t.World.URL, batch(1, 40_000_000_000, time.Now())), 1<<20); err != nil {
					return err
				}
			}
			status, _, err := t.do(c, newRequest(ctx, http.MethodPost, t.World.URL+"/v3/"+kind.path+"/getDownloadUrl/"+acc.Product, body), 1<<20)
			if err == nil && status != http.StatusOK {
				err = statusError{status: status}
			}
			return err
		})
	})
	return nil
}

// floodOfRegistrations registers names that nobody has, of the greatest length.
func floodOfRegistrations(ctx context.Context, t *target) error {
	c, acc := t.client(60), t.World.Attacker
	workers(60, func(int) {
		repeat(ctx, 1000, func() error {
			names := make([]string, 100)
			for i := range names {
				names[i] = `"` + randomID() + strings.Repeat("x", 200) + `"`
			}
			body := []byte(`{"identity_name":"user_id","identity_values":[` + strings.Join(names, ",") + `]}`)
			status, _, err := t.do(c, acc.basic(newRequest(ctx, http.MethodPost, t.World.URL+"/v1/user/register", body)), 1<<20)
			if err == nil && status != http.StatusOK {
				err = statusError{status: status}
			}
			return err
		})
	})
	return nil
}
