package query

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"weir/query/view"
	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/property"
	"weir/schemas/rollup"
)

const (
	maxClientsOver  = 10_000 // clients that an answer counts
	maxListedOver   = 100    // of them that it names
	minOverNameSize = 4      // of the text of a property in a row: two quotes, a colon and a value
)

// overLimits answers what of a product is over a limit, and therefore not in reports
// or files as it was sent: what was accepted is kept in the events.
type overLimits struct{ responder }

// limitsAnswer has a member for each limit.
type limitsAnswer struct {
	ClientProperties clientsOverLimit `json:"clientProperties"`
}

// clientsOverLimit are the clients with more properties outside the catalogue than
// rollups keep.
type clientsOverLimit struct {
	Limit   int      `json:"limit"`
	Clients int      `json:"clients"`   // at most maxClientsOver
	More    bool     `json:"more"`      // there are more than Clients
	IDs     []string `json:"clientIds"` // the first maxListedOver of them that were found, by id
}

// list answers for a product.
func (o overLimits) list(w http.ResponseWriter, r *http.Request, q productQuestion) error {
	return o.answerFromView(w, r, q.product.Account, func(ctx context.Context) (*view.View, error) {
		return o.views.PlanRollups(ctx, q.product.ID, q.watermark, rollup.WantProperties, lake.Clients)
	}, func(ctx context.Context, v *view.View) (any, error) {
		over, more, err := clientsOver(ctx, v, q.product.ID)
		if err != nil {
			return nil, err
		}
		answer := clientsOverLimit{Limit: rollup.MaxOtherProperties, Clients: len(over), More: more, IDs: []string{}}
		for _, id := range over[:min(len(over), maxListedOver)] {
			answer.IDs = append(answer.IDs, strconv.FormatInt(id, 10))
		}
		return enveloped(limitsAnswer{ClientProperties: answer}), nil
	})
}

// clientsOver returns the clients of which a row has more properties outside the
// catalogue than are kept, by id. Rows of a client that are not merged yet are looked
// at one by one.
func clientsOver(ctx context.Context, v *view.View, product int64) (over []int64, more bool, err error) {
	found := map[int64]struct{}{}
	for b, err := range v.ClientBatches(ctx, columns.Filter{Products: []int64{product}}, rollup.WantProperties) {
		if err != nil {
			return nil, false, err
		}
		for i, client := range b.Client {
			is, err := overBound(b.Properties[i])
			if err != nil {
				return nil, false, err
			}
			if _, known := found[client]; !is || known {
				continue
			}
			if more = len(found) == maxClientsOver; more {
				break
			}
			found[client] = struct{}{}
		}
		if more {
			break
		}
	}
	for client := range found {
		over = append(over, client)
	}
	slices.Sort(over)
	return over, more, nil
}

// overBound reports whether stored properties of a client were bounded. Most rows are
// too short for that and are not parsed.
func overBound(raw string) (bool, error) {
	if len(raw) < rollup.MaxOtherProperties*minOverNameSize || strings.Count(raw, `":`) <= rollup.MaxOtherProperties {
		return false, nil
	}
	all, err := rollup.ParseProperties(raw)
	others := 0
	for i := range all {
		if property.Find(all[i].Name) == nil {
			others++
		}
	}
	return others > rollup.MaxOtherProperties, err
}
