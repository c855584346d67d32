package query

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/registry"
)

// userEvents answers contract 2: every event of one user between two instants,
// both included, in order of time. It is streamed, so it has no cap.
//
// refId is looked up in every product of the token: first as identity ref_id;
// if no product knows it, as user_id; if none does, it is the decimal EUID of a
// client that has events. It may be a client in several products; then the
// events of all are given. A customerId keeps those that it also names, by
// identity customer_id or, where a product has no such identity, as EUID.
func (s *Service) userEvents(w http.ResponseWriter, r *http.Request) error {
	who, err := s.bearer(r)
	if err != nil {
		return err
	}
	ask, err := decodeUserEvents(http.MaxBytesReader(w, r.Body, s.cfg.MaxBody))
	if err != nil {
		return err
	}
	want, err := watermarkOf(r)
	if err != nil {
		return err
	}
	done, err := s.turn(r.Context())
	if err != nil {
		return err
	}
	defer done()
	users, err := s.findUsers(r.Context(), who, ask)
	if err != nil {
		return err
	}
	v, err := s.plan(r.Context(), users.question(ask, want))
	if err != nil {
		return err
	}
	defer v.close()
	return s.streamUserEvents(w, r, users.survey(v, ask))
}

// userEventsQuestion is the body of a request of contract 2.
type userEventsQuestion struct {
	customer *int64
	ref      string
	from, to int64 // epoch milliseconds, half-open
}

func decodeUserEvents(body io.Reader) (userEventsQuestion, error) {
	var in struct {
		CustomerID *int64 `json:"customerId"`
		RefID      string `json:"refId"`
		From       string `json:"from"`
		Until      string `json:"until"`
	}
	if err := json.UnmarshalRead(body, &in); err != nil {
		return userEventsQuestion{}, badBody(err)
	}
	from, okFrom := parseInstant(in.From)
	until, okUntil := parseInstant(in.Until)
	if in.RefID == "" || !okFrom || !okUntil || from.After(until) {
		return userEventsQuestion{}, &schemas.RequestError{Status: http.StatusBadRequest, Code: "bad_range", Detail: userEventsBad}
	}
	// An event has whole milliseconds: one at or after from is at or after the
	// next whole one, one at or before until is at or before the last whole one.
	first := from.UnixMilli()
	if from.Nanosecond()%int(time.Millisecond) != 0 {
		first++
	}
	return userEventsQuestion{customer: in.CustomerID, ref: in.RefID, from: first, to: until.UnixMilli() + 1}, nil
}

// parseInstant reads an ISO 8601 date and time: extended format, seconds and
// fraction may be left out, an offset of hours or hours and minutes may follow.
// Without an offset it is UTC; a date alone is its midnight.
func parseInstant(text string) (time.Time, bool) {
	text = strings.Replace(text, ",", ".", 1)
	for _, layout := range instantLayouts() {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

func instantLayouts() []string {
	layouts := []string{time.DateOnly}
	for _, zone := range []string{"Z07:00", "Z0700", "Z07", ""} {
		layouts = append(layouts, "2006-01-02T15:04:05"+zone, "2006-01-02T15:04"+zone)
	}
	return layouts
}

// user is one client of one product.
type user struct{ product, client int64 }

// users are the clients that a refId names.
type users []user

// findUsers returns whom the question is about, or the published 404.
func (s *Service) findUsers(ctx context.Context, who registry.Principal, ask userEventsQuestion) (users, error) {
	found, err := s.usersByRef(ctx, who, ask.ref)
	if err != nil {
		return nil, err
	}
	if ask.customer != nil {
		found, err = s.sameCustomer(ctx, found, *ask.customer)
		if err != nil {
			return nil, err
		}
	}
	if len(found) == 0 {
		return nil, &schemas.RequestError{Status: http.StatusNotFound, Code: "no_user", Detail: userEventsNobody}
	}
	return found, nil
}

func (s *Service) usersByRef(ctx context.Context, who registry.Principal, ref string) (users, error) {
	for _, name := range []string{"ref_id", "user_id"} {
		found, err := s.usersByIdentity(ctx, who, name, ref)
		if err != nil || len(found) > 0 {
			return found, err
		}
	}
	return s.usersByEUID(ctx, who, ref)
}

func (s *Service) usersByIdentity(ctx context.Context, who registry.Principal, name, value string) (users, error) {
	var found users
	for _, product := range who.Products {
		client, err := s.deps.Registry.ResolveIdentity(ctx, product, name, value)
		switch {
		case errors.Is(err, registry.ErrNotFound):
		case err != nil:
			return nil, err
		default:
			found = append(found, user{product, client})
		}
	}
	return found, nil
}

// usersByEUID finds the products in which the client that ref spells has
// events.
func (s *Service) usersByEUID(ctx context.Context, who registry.Principal, ref string) (users, error) {
	client, err := strconv.ParseInt(ref, 10, 64)
	if err != nil || client <= 0 || strconv.FormatInt(client, 10) != ref || len(who.Products) == 0 {
		return nil, nil
	}
	f := columns.Filter{Products: who.Products, Clients: []int64{client}}
	v, err := s.plan(ctx, question{columns: []string{columns.ProductID}, filter: f})
	if err != nil {
		return nil, err
	}
	defer v.close()
	var found users
	for len(f.Products) > 0 {
		product, ok, err := firstProduct(ctx, v, f)
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		found = append(found, user{product, client})
		f.Products = without(f.Products, product)
	}
	return found, nil
}

// firstProduct is a product of f that has an event of f; it stops at the first
// it meets.
func firstProduct(ctx context.Context, v *view, f columns.Filter) (int64, bool, error) {
	for rec, err := range v.events(ctx, []string{columns.ProductID}, f) {
		if err != nil {
			return 0, false, err
		}
		rows, err := columns.Bind(rec)
		if err != nil {
			return 0, false, fmt.Errorf("read events: %w", err)
		}
		if rows.Rows > 0 {
			return rows.Product[0], true, nil
		}
	}
	return 0, false, nil
}

func without(list []int64, v int64) []int64 {
	return slices.DeleteFunc(slices.Clone(list), func(x int64) bool { return x == v })
}

// sameCustomer keeps the users that customer names too.
func (s *Service) sameCustomer(ctx context.Context, found users, customer int64) (users, error) {
	var same users
	for _, u := range found {
		client, err := s.deps.Registry.ResolveIdentity(ctx, u.product, "customer_id", strconv.FormatInt(customer, 10))
		if errors.Is(err, registry.ErrNotFound) {
			client, err = customer, nil
		}
		if err != nil {
			return nil, err
		}
		if client == u.client {
			same = append(same, u)
		}
	}
	return same, nil
}

func (us users) filter() columns.Filter {
	var f columns.Filter
	for _, u := range us {
		f.Products = append(f.Products, u.product)
		if !slices.Contains(f.Clients, u.client) {
			f.Clients = append(f.Clients, u.client)
		}
	}
	return f
}

func userColumns() []string { return []string{columns.ProductID, columns.ClientID} }

func (us users) question(ask userEventsQuestion, want watermark) question {
	f := us.filter()
	f.TimeFrom, f.TimeTo = ask.from, ask.to
	return question{
		columns: append(userColumns(), columns.Time, columns.Shard, columns.Offset),
		filter:  f, watermark: want, exact: true,
	}
}

// survey finds the events of us. The filter crosses products with clients, so
// each row is held to the pairs.
func (us users) survey(v *view, ask userEventsQuestion) *survey {
	wants := func(rows *columns.View) func(int) bool {
		return func(i int) bool { return slices.Contains(us, user{rows.Product[i], rows.Client[i]}) }
	}
	return &survey{
		view: v, filter: us.filter(), columns: userColumns(), wants: wants, period: v.period(ask.from, ask.to),
	}
}

// streamUserEvents writes the array, piece by piece. Nothing is written before
// the first scan has ended well.
func (s *Service) streamUserEvents(w http.ResponseWriter, r *http.Request, of *survey) error {
	all, err := of.tally(r.Context(), of.period)
	if err != nil {
		return err
	}
	of.view.headers(w.Header())
	w.Header().Set("Content-Type", "application/json")
	out := &writer{service: s, to: w, buf: []byte{'['}}
	for keys, err := range of.ranks(r.Context(), all, 0, all.total) {
		if err != nil {
			return err
		}
		for _, key := range keys {
			if out.buf, err = appendUserEvent(out.separate(), key); err != nil {
				return err
			}
			if err := out.flush(writeBytes); err != nil {
				return err
			}
		}
	}
	out.buf = append(out.buf, ']', '\n')
	return out.flush(0)
}

func appendUserEvent(dst []byte, key rowKey) ([]byte, error) {
	id, err := eventID(key.shard, key.offset)
	if err != nil {
		return dst, err
	}
	dst = append(dst, `{"id":`...)
	dst = strconv.AppendInt(dst, id, 10)
	dst = append(dst, `,"dateEvent":"`...)
	dst = msTime(key.time).AppendFormat(dst, "2006-01-02T15:04:05.000Z")
	return append(dst, `"}`...), nil
}

// maxOffset bounds offsets so that eventID stays below 2^53, where a float64,
// and so JavaScript, still tells whole numbers apart: a shard that takes a
// million events a second reaches it after 278 years.
const maxOffset = 1 << 53 / maxShards

// eventID is the number of an event: unique, and the same for ever, as shard
// and offset are.
func eventID(shard int32, offset int64) (int64, error) {
	if shard < 0 || shard >= maxShards || offset < 0 || offset >= maxOffset {
		return 0, fmt.Errorf("no id below 2^53 for offset %d of shard %d", offset, shard)
	}
	return offset*maxShards + int64(shard), nil
}

// What contract 2 says of errors, to the letter.
const (
	userEventsBad    = "Invalid date range or missing required parameters"
	userEventsDenied = "Invalid or missing authentication token"
	userEventsNobody = "User not found"
	userEventsBroken = "Internal server error"
)

// spellUserEventsError writes `{"error": text}`. Statuses that the contract
// does not list carry their own text.
func spellUserEventsError(w http.ResponseWriter, re *schemas.RequestError) {
	text := re.Detail
	switch re.Status {
	case http.StatusBadRequest:
		text = userEventsBad
	case http.StatusUnauthorized:
		text = userEventsDenied
		w.Header().Set("WWW-Authenticate", "Bearer")
	case http.StatusInternalServerError:
		text = userEventsBroken
	}
	writeJSON(w, re.Status, struct {
		Error string `json:"error"`
	}{text})
}
