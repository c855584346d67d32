package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

var errStale = errors.New("new events are missing")

// stale is how old answers may be, so that an attack counts as one that made data stale.
const stale = 30 * time.Second

// fresh asks until an answer includes everything up to now: how long new events take to
// be in answers, of whichever shard is slowest.
func fresh(ctx context.Context, c *http.Client, acc account, url string) error {
	since, question := time.Now(), []byte(`{"startDate":"NOW","stopDate":"NOW","clientStatus":["active"]}`)
	for {
		resp, err := c.Do(newRequest(ctx, http.MethodPost, url+"/v3/reporting/generic/dateRange/"+acc.Product, question))
		if err != nil {
			return err
		}
		resp.Body.Close() //nolint:errcheck // the header says what is asked
		if resp.StatusCode != http.StatusOK {
			return statusError{status: resp.StatusCode}
		}
		asOf, err := time.Parse(time.RFC3339, resp.Header.Get("Weir-As-Of"))
		if err == nil && !asOf.Before(since.Truncate(time.Millisecond)) {
			return nil
		}
		if time.Since(since) > stale {
			return fmt.Errorf("answers are %s old: %w", time.Since(asOf).Truncate(time.Second), errStale)
		}
		pause(ctx, 100*time.Millisecond)
	}
}
