package main

import (
	"context"
	"time"
)

// floodAttacks are accounts that use what they may use, as fast as they can.
func floodAttacks() []attack {
	return []attack{
		{
			name: "flood of events", who: "one account", what: "sends batches of 200 events over 32 connections as fast as it can",
			run: floodOfEvents,
		},
		{
			name: "flood of reports", who: "one account", what: "asks 32 reports at a time, again and again",
			run: floodOfReports,
		},
	}
}

func floodOfEvents(ctx context.Context, t *target) error {
	c, acc := t.client(32), t.World.Attacker
	workers(32, func(i int) {
		repeat(ctx, 2000, func() error {
			_, _, err := t.do(c, acc.report(ctx, t.World.URL, batch(200, 30_000_000_000+int64(i)*1000, time.Now())), 1<<20)
			return err
		})
	})
	return nil
}

func floodOfReports(ctx context.Context, t *target) error {
	c, acc := t.client(32), t.World.Attacker
	if err := t.loginAttacker(ctx, c); err != nil {
		return err
	}
	question := []byte(`{"startDate":"NOW-19","stopDate":"NOW","dateSplit":"day","clientStatus":["new","active"]}`)
	workers(32, func(int) {
		repeat(ctx, 2000, func() error {
			_, _, err := t.do(c, newRequest(ctx, "POST", t.World.URL+"/v3/reporting/generic/dateRange/"+acc.Product, question), 1<<20)
			return err
		})
	})
	return nil
}
