package query

import (
	"cmp"
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

	"weir/query/view"
	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/registry"
	"weir/schemas/values"
)

// userEventsAPI answers the User Events API.
type userEventsAPI struct {
	responder
	credentials
	cors     cors
	registry *registry.Registry
	maxKeys  int64 // see view.OrderedScan; 0 means its default. Tests lower it

	maxSessionDays int // 0 means maxSessionDays. Tests lower it
}

// mount adds the paths of the API to mux.
func (a *userEventsAPI) mount(mux *http.ServeMux, rt *router) {
	mux.Handle("/api/v3/business/report/event/user", a.cors.wrap(http.MethodPost, rt.handle(endpoint{
		name: "user_events", method: http.MethodPost, answer: a.answer, encodeError: encodeUserEventsError,
	})))
	rt.handleUnknown(mux, "/api/v3/business/", "business_unknown", encodeUserEventsError)
}

// answer answers with every use of the application (see uses) by one user between
// two instants, both included, in order of time. It is streamed, so it has no cap.
//
// refId is looked up in every product of the token: first as identity ref_id;
// if no product has that, as user_id. It may be a client in several products;
// then the answer has the events of all. A customerId keeps those clients that it
// also names by identity customer_id.
//
// In products whose switch EUIDAsRef is on, an EUID stands for its client: a refId
// that is no identity is the EUID of a client that has events, and a customerId
// that is none is the EUID. Elsewhere it would show a partner that numbers its
// customers 1, 2, 3 the events of strangers.
func (a *userEventsAPI) answer(w http.ResponseWriter, r *http.Request) error {
	principal, err := a.bearer(r)
	if err != nil {
		return err
	}
	large, err := a.beginQuestion(r, principal.Account)
	if err != nil {
		return err
	}
	defer large.Release()
	ask, err := decodeUserEvents(a.body(w, r))
	if err != nil {
		return err
	}
	want, err := requestedWatermark(r)
	if err != nil {
		return err
	}
	place, err := a.views.AcquireScan(r.Context(), principal.Account)
	if err != nil {
		return err
	}
	defer place.Release()
	users, err := a.findUsers(r.Context(), principal, ask)
	if err != nil {
		return err
	}
	v, err := a.views.Plan(r.Context(), users.request(ask, want))
	if err != nil {
		return err
	}
	defer v.Close()
	found := uses{users: users, most: cmp.Or(a.maxSessionDays, maxSessionDays)}
	if err := found.find(r.Context(), v, ask.from, ask.to); err != nil {
		return err
	}
	return a.stream(&answerWriter{limits: a.limits, to: w, place: place}, r, &view.OrderedScan{
		View: v, From: ask.from, To: ask.to, Filter: users.filter(), Columns: usesColumns(), Wants: found.has, MaxKeys: a.maxKeys,
	})
}

// userEventsQuestion is a question of the User Events API.
type userEventsQuestion struct {
	customer *int64
	ref      string
	from, to int64 // epoch milliseconds, half-open
}

// decodeUserEvents reads and checks a body. All that is wrong with it has the one
// published text; the header Weir-Error says what it is.
func decodeUserEvents(body io.Reader) (userEventsQuestion, error) {
	var in struct {
		CustomerID *values.Int `json:"customerId"`
		RefID      string      `json:"refId"`
		From       string      `json:"from"`
		Until      string      `json:"until"`
	}
	if err := json.UnmarshalRead(body, &in); err != nil {
		return userEventsQuestion{}, badBody(err)
	}
	if in.RefID == "" {
		return userEventsQuestion{}, fieldError("bad_range", "refId", "is missing")
	}
	from, wrong := values.Instant(in.From)
	if wrong != "" {
		return userEventsQuestion{}, fieldError("bad_range", "from", wrong)
	}
	until, wrong := values.Instant(in.Until)
	if wrong != "" {
		return userEventsQuestion{}, fieldError("bad_range", "until", wrong)
	}
	if from.After(until) {
		return userEventsQuestion{}, fieldError("bad_range", "until", "lies before from")
	}
	// An event has whole milliseconds: one at or after from is at or after the
	// next whole one, one at or before until is at or before the last whole one.
	first := from.UnixMilli()
	if from.Nanosecond()%int(time.Millisecond) != 0 {
		first++
	}
	return userEventsQuestion{customer: (*int64)(in.CustomerID), ref: in.RefID, from: first, to: until.UnixMilli() + 1}, nil
}

// user is one client of one product.
type user struct{ product, client int64 }

// users are the clients that a refId names.
type users []user

// findUsers returns the clients that the question is about, or the published
// 404.
func (a *userEventsAPI) findUsers(ctx context.Context, principal registry.Principal, ask userEventsQuestion) (users, error) {
	found, err := a.usersByRef(ctx, principal, ask.ref)
	if err != nil {
		return nil, err
	}
	if ask.customer != nil {
		found, err = a.sameCustomer(ctx, found, *ask.customer)
		if err != nil {
			return nil, err
		}
	}
	if len(found) == 0 {
		return nil, &schemas.RequestError{Status: http.StatusNotFound, Code: "no_user", Detail: userEventsNotFound}
	}
	return found, nil
}

// usersByRef tries the meanings of ref in order; the first that any product knows
// counts for all products.
func (a *userEventsAPI) usersByRef(ctx context.Context, principal registry.Principal, ref string) (users, error) {
	for _, name := range []string{"ref_id", "user_id"} {
		found, err := a.usersByIdentity(ctx, principal, name, ref)
		if err != nil || len(found) > 0 {
			return found, err
		}
	}
	return a.usersByEUID(ctx, principal, ref)
}

func (a *userEventsAPI) usersByIdentity(ctx context.Context, principal registry.Principal, name, value string) (users, error) {
	var found users
	for _, product := range principal.Products {
		client, err := a.registry.ResolveIdentity(ctx, product, name, value)
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

// usersByEUID finds the products that allow it in which the client whose EUID is
// ref has events.
func (a *userEventsAPI) usersByEUID(ctx context.Context, principal registry.Principal, ref string) (users, error) {
	client, err := strconv.ParseInt(ref, 10, 64)
	if err != nil || client <= 0 || strconv.FormatInt(client, 10) != ref || len(principal.Products) == 0 {
		return nil, nil
	}
	allowed, err := registry.ProductsWithEUIDAsRef(ctx, a.registry, principal.Products)
	if err != nil || len(allowed) == 0 {
		return nil, err
	}
	f := columns.Filter{Products: allowed, Clients: []int64{client}}
	v, err := a.views.Plan(ctx, view.Request{Columns: []string{columns.ProductID}, Filter: f})
	if err != nil {
		return nil, err
	}
	defer v.Close()
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

// firstProduct returns a product of f that has an event of f; it ends the scan at
// the first.
func firstProduct(ctx context.Context, v *view.View, f columns.Filter) (int64, bool, error) {
	for rec, err := range v.Events(ctx, []string{columns.ProductID}, f) {
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

// sameCustomer keeps the users that customer also names. The switch is read only
// for users of products in which it names nobody.
func (a *userEventsAPI) sameCustomer(ctx context.Context, found users, customer int64) (users, error) {
	var same, unnamed users
	for _, u := range found {
		client, err := a.registry.ResolveIdentity(ctx, u.product, "customer_id", strconv.FormatInt(customer, 10))
		switch {
		case errors.Is(err, registry.ErrNotFound):
			if u.client == customer {
				unnamed = append(unnamed, u)
			}
		case err != nil:
			return nil, err
		case client == u.client:
			same = append(same, u)
		}
	}
	if len(unnamed) == 0 {
		return same, nil
	}
	allowed, err := registry.ProductsWithEUIDAsRef(ctx, a.registry, unnamed.products())
	for _, u := range unnamed {
		if slices.Contains(allowed, u.product) {
			same = append(same, u)
		}
	}
	return same, err
}

func (us users) products() []int64 {
	var ids []int64
	for _, u := range us {
		ids = append(ids, u.product)
	}
	return ids
}

// filter lets through the events of all products of us with all clients of us, which
// may be more than the pairs: see uses.
func (us users) filter() columns.Filter {
	f := columns.Filter{Products: us.products()}
	for _, u := range us {
		if !slices.Contains(f.Clients, u.client) {
			f.Clients = append(f.Clients, u.client)
		}
	}
	return f
}

func userColumns() []string { return []string{columns.ProductID, columns.ClientID} }

// request asks for exactly the watermark that was sent back, so that a repeated
// request has the same events.
func (us users) request(ask userEventsQuestion, want view.Watermark) view.Request {
	f := us.filter()
	f.TimeFrom, f.TimeTo = usesPeriod(ask.from, ask.to)
	return view.Request{
		Columns: append(usesColumns(), columns.Time, columns.Shard, columns.Offset),
		Filter:  f, Watermark: want, Exact: true,
	}
}

// stream writes the array, piece by piece. It writes nothing before the first
// scan has succeeded, so that most errors still get a status.
func (*userEventsAPI) stream(w *answerWriter, r *http.Request, scan *view.OrderedScan) error {
	all, err := scan.Count(r.Context())
	if err != nil {
		return err
	}
	setCoverage(w.to.Header(), scan.View.Coverage())
	w.to.Header().Set("Content-Type", "application/json")
	out := &streamWriter{to: w, buf: []byte{'['}}
	for keys, err := range scan.SelectRanks(r.Context(), all, 0, all.Total) {
		if err != nil {
			return err
		}
		for _, key := range keys {
			if out.buf, err = appendUserEvent(out.separate(), key); err != nil {
				return err
			}
			if err := out.flush(streamBytes); err != nil {
				return err
			}
		}
	}
	out.buf = append(out.buf, ']', '\n')
	return out.flush(0)
}

func appendUserEvent(dst []byte, key view.EventKey) ([]byte, error) {
	id, err := eventID(key.ID())
	if err != nil {
		return dst, err
	}
	dst = append(dst, `{"id":`...)
	dst = strconv.AppendInt(dst, id, 10)
	dst = append(dst, `,"dateEvent":"`...)
	dst = time.UnixMilli(key.Time).UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
	return append(dst, `"}`...), nil
}

// maxOffset bounds offsets so that eventID stays below 2^53, up to which a
// float64, and so JavaScript, represents every whole number. A shard with a
// million events a second reaches it after 278 years.
const maxOffset = 1 << 53 / view.MaxShards

// eventID returns the number of an event: unique and permanent, as shard and
// offset are.
func eventID(id view.RowID) (int64, error) {
	if id.Shard < 0 || id.Shard >= view.MaxShards || id.Offset < 0 || id.Offset >= maxOffset {
		return 0, fmt.Errorf("no id below 2^53 for offset %d of shard %d", id.Offset, id.Shard)
	}
	return id.Offset*view.MaxShards + int64(id.Shard), nil
}

// The published texts of errors of the User Events API.
const (
	userEventsBad      = "Invalid date range or missing required parameters"
	userEventsDenied   = "Invalid or missing authentication token"
	userEventsNotFound = "User not found"
	userEventsBroken   = "Internal server error"
)

// headerError says what is wrong with a request that the User Events API answers
// 400, and in which field: the published body has one text for all.
const headerError = "Weir-Error"

// headerText returns text as a header may hold it: of visible ASCII.
func headerText(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, strings.ReplaceAll(text, "…", "..."))
}

// encodeUserEventsError writes `{"error": text}`. Statuses that are not published
// have their own text.
func encodeUserEventsError(w http.ResponseWriter, re *schemas.RequestError) {
	text := re.Detail
	switch re.Status {
	case http.StatusBadRequest:
		text = userEventsBad
		w.Header().Set(headerError, headerText(re.Detail))
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
