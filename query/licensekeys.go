package query

import (
	"cmp"
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"weir/query/cost"
	"weir/query/view"
	"weir/schemas/lake"
	"weir/schemas/registry"
	"weir/schemas/rollup"
	"weir/schemas/values"
)

const (
	licensePage    = 1000 // license keys of one answer: the most, and the default
	maxInstalls    = 1_000_000_000
	maxLicenseType = 256 // bytes
)

// licenseKeys answers for the license keys of a product.
type licenseKeys struct {
	responder
	registry *registry.Registry
}

// license is how a license key is listed.
type license struct {
	Key       string        `json:"licenseKey"`
	Type      string        `json:"licenseType"`
	Status    licenseStatus `json:"licenseStatus"`
	Added     string        `json:"addedDate"`  // UTC
	Expiry    *string       `json:"expiryDate"` // null: never
	Quota     int64         `json:"installQuota"`
	Installs  int64         `json:"installCount"`   // clients whose current key it is
	OverQuota int64         `json:"overQuotaCount"` // negative: installs left
	Collected bool          `json:"autoCollected"`
}

type licenseStatus struct {
	Activated bool `json:"activated"`
	Blocked   bool `json:"blocked"`
	Expired   bool `json:"expired"`
	Allowed   bool `json:"allowed"`
}

// licenseOf lists a registered key with the number of clients that have it.
func licenseOf(k *registry.LicenseKey, installs int64) license {
	l := license{
		Key: k.Key, Type: k.Type, Status: licenseStatus(k.Status), Added: k.Added.Format(time.DateOnly),
		Quota: k.Quota, Installs: installs, OverQuota: installs - k.Quota, Collected: k.Collected,
	}
	if k.Expiry != "" {
		l.Expiry = &k.Expiry
	}
	return l
}

// list answers with the license keys of a product, ordered by their bytes, a page
// at a time. Keys that clients report and that nobody has uploaded are registered
// first.
func (lk licenseKeys) list(w http.ResponseWriter, r *http.Request, q productQuestion) error {
	var body struct {
		Filters map[string]jsontext.Value `json:"filters"`
		StartAt *string                   `json:"startAtLicenseKey"`
		Limit   *values.Int               `json:"limit"`
	}
	if err := lk.readBody(w, r, &body); err != nil {
		return err
	}
	budget := lk.cost.Question()
	wants, err := parseLicenseFilters(body.Filters, budget)
	if err != nil {
		return err
	}
	page := licensePager{wants: wants, limit: licensePage}
	if body.StartAt != nil {
		page.next = *body.StartAt
	}
	if body.Limit != nil {
		if page.limit = int(*body.Limit); page.limit < 1 || page.limit > licensePage {
			return badField("limit", "must be a whole number from 1 to "+strconv.Itoa(licensePage))
		}
	}
	return lk.answerFromView(w, r, q.product.Account, func(ctx context.Context) (*view.View, error) {
		return lk.views.PlanRollups(ctx, q.product.ID, q.watermark, rollup.WantProperties, lake.Clients)
	}, func(ctx context.Context, v *view.View) (any, error) {
		ctx, end := budget.Begin(ctx)
		defer end()
		if err := page.gather(ctx, lk.registry, v, q.product.ID); err != nil || ctx.Err() != nil {
			return nil, cost.Cause(ctx, cmp.Or(err, ctx.Err()))
		}
		return page.answer(), nil
	})
}

// licensePager fills one page of a list.
type licensePager struct {
	wants []func(*license) bool
	limit int
	list  []license
	next  string // the key to continue at
	last  string // the key that was read last
	end   bool   // there are no more
}

// gather fills the page. It counts the keys of clients over one range of keys
// after the other, each with as many keys as memory holds.
func (p *licensePager) gather(ctx context.Context, reg *registry.Registry, v *view.View, product int64) error {
	for !p.end && len(p.list) < p.limit+1 {
		count := installs{from: p.next, budget: installBytes}
		if err := count.count(ctx, v, product); err != nil {
			return err
		}
		if err := reg.CollectLicenseKeys(ctx, product, count.keys()); err != nil {
			return err
		}
		if err := p.takeRange(ctx, reg, product, &count); err != nil {
			return err
		}
	}
	return nil
}

// takeRange takes the registered keys of the range that was counted.
func (p *licensePager) takeRange(ctx context.Context, reg *registry.Registry, product int64, count *installs) error {
	for {
		keys, err := reg.LicenseKeys(ctx, product, p.next, licensePage)
		if err != nil {
			return err
		}
		for i := range keys {
			k := &keys[i]
			if k.Key == p.last {
				continue
			}
			if count.bounded && k.Key >= count.to {
				p.next = count.to
				return nil
			}
			l := licenseOf(k, count.counts[k.Key])
			if p.take(&l); len(p.list) > p.limit {
				return nil
			}
			p.next, p.last = k.Key, k.Key
		}
		if len(keys) < licensePage {
			p.next, p.end = count.to, !count.bounded
			return nil
		}
	}
}

// take adds l to the page if all filters want it.
func (p *licensePager) take(l *license) {
	for _, want := range p.wants {
		if !want(l) {
			return
		}
	}
	p.list = append(p.list, *l)
}

// answer returns the page. The pager holds one license more than the page has, which
// is the key where the next page starts.
func (p *licensePager) answer() any {
	answer := struct {
		Status  string    `json:"status"`
		Result  []license `json:"result"`
		Reached bool      `json:"reachedEnd"`
		Next    string    `json:"nextLicenseKey,omitzero"`
	}{Status: "OK", Result: p.list, Reached: len(p.list) <= p.limit}
	if !answer.Reached {
		answer.Result, answer.Next = p.list[:p.limit], p.list[p.limit].Key
	}
	return answer
}

// keyUpdate is one element of keyUpdates.
type keyUpdate struct {
	Key    *string `json:"licenseKey"`
	Type   *string `json:"licenseType"`
	Status *struct {
		Activated   *bool `json:"activated"`
		Blocked     *bool `json:"blocked"`
		Expired     *bool `json:"expired"`
		Allowed     *bool `json:"allowed"`
		Blacklisted *bool `json:"blacklisted"` // the older name of blocked
		Whitelisted *bool `json:"whitelisted"` // the older name of allowed
	} `json:"licenseStatus"`
	Expiry jsontext.Value `json:"expiryDate"` // null: never
	Quota  *values.Int    `json:"installQuota"`
}

// update inserts the keys that do not exist and changes those that do, all of a
// request or none. The method does not matter: the published texts of both say
// that a batch may mix.
func (lk licenseKeys) update(w http.ResponseWriter, r *http.Request, q productQuestion) error {
	var body struct {
		Updates []keyUpdate `json:"keyUpdates"`
	}
	if err := lk.readBody(w, r, &body); err != nil {
		return err
	}
	if err := checkCount("keyUpdates", len(body.Updates)); err != nil {
		return err
	}
	updates, at := make([]registry.LicenseKeyUpdate, len(body.Updates)), map[string]int{}
	for i := range body.Updates {
		field := "keyUpdates." + strconv.Itoa(i)
		u, err := body.Updates[i].checked(field)
		if err != nil {
			return err
		}
		if before, twice := at[u.Key]; twice {
			return badField(field+".licenseKey", "is that of keyUpdates."+strconv.Itoa(before)+" too")
		}
		at[u.Key], updates[i] = i, u
	}
	inserted, err := lk.registry.UpdateLicenseKeys(r.Context(), q.product.ID, updates)
	if err != nil {
		return err
	}
	return lk.writeAnswer(r.Context(), w, enveloped(struct {
		Inserted int `json:"inserted"`
		Updated  int `json:"updated"`
	}{inserted, len(updates) - inserted}))
}

// checked returns u as the registry takes it, or an error that names the bad
// field; at is the path of u in the body.
func (u *keyUpdate) checked(at string) (registry.LicenseKeyUpdate, error) {
	out := registry.LicenseKeyUpdate{Type: u.Type, Quota: (*int64)(u.Quota)}
	if u.Key == nil {
		return out, badField(at+".licenseKey", "is missing")
	}
	if out.Key = *u.Key; registry.ValidLicenseKey(out.Key) != nil {
		return out, badField(at+".licenseKey", "is not a text of 1 to "+strconv.Itoa(registry.MaxLicenseKey)+" bytes")
	}
	if t := u.Type; t != nil && (*t == "" || len(*t) > maxLicenseType || !utf8.ValidString(*t) || strings.ContainsRune(*t, 0)) {
		return out, badField(at+".licenseType", "is not a text of 1 to "+strconv.Itoa(maxLicenseType)+" bytes")
	}
	if u.Quota != nil && (*u.Quota < 0 || *u.Quota > maxInstalls) {
		return out, badField(at+".installQuota", "must be a whole number from 0 to "+strconv.Itoa(maxInstalls))
	}
	if err := u.flags(at, &out); err != nil {
		return out, err
	}
	return out, u.expiry(at, &out)
}

// flags sets the status flags of out. Two of them have an older name; a request may
// use either, or both if they agree.
func (u *keyUpdate) flags(at string, out *registry.LicenseKeyUpdate) error {
	if u.Status == nil {
		return nil
	}
	out.Activated, out.Expired = u.Status.Activated, u.Status.Expired
	for _, flag := range []struct {
		name     string
		new, old *bool
		into     **bool
	}{
		{"blacklisted", u.Status.Blocked, u.Status.Blacklisted, &out.Blocked},
		{"whitelisted", u.Status.Allowed, u.Status.Whitelisted, &out.Allowed},
	} {
		*flag.into = flag.new
		if flag.new == nil {
			*flag.into = flag.old
		}
		if flag.new != nil && flag.old != nil && *flag.new != *flag.old {
			return badField(at+".licenseStatus."+flag.name, "contradicts its newer name")
		}
	}
	return nil
}

// expiry sets the expiry date of out: null removes it, and a missing one leaves it.
func (u *keyUpdate) expiry(at string, out *registry.LicenseKeyUpdate) error {
	if u.Expiry == nil {
		return nil
	}
	var day *string
	if err := json.Unmarshal(u.Expiry, &day); err != nil {
		return badField(at+".expiryDate", "must be a date, YYYY-MM-DD, or null")
	}
	out.Expiry = new("")
	if day != nil {
		if _, ok := values.Day(*day); !ok {
			return badField(at+".expiryDate", "must be a date, YYYY-MM-DD, or null")
		}
		out.Expiry = day
	}
	return nil
}
