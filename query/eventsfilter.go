package query

import (
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"

	"weir/query/cost"
	"weir/query/view"
	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/values"
)

// userFilter selects events by their user, who must match every list, and matches
// a list by any of its values. An empty list matches everybody.
type userFilter struct {
	ids, realms, groups, roles cost.Texts

	judged *userVerdicts
}

func newUserFilter(in *eventsUserFilter) userFilter {
	return userFilter{
		ids: cost.NewTexts(in.ID), realms: cost.NewTexts(in.Realm), groups: cost.NewTexts(in.Group), roles: cost.NewTexts(in.Role),
		judged: &userVerdicts{known: map[string]verdict{}},
	}
}

// empty reports whether the filter matches everybody, so that the user columns need
// not be read.
func (f *userFilter) empty() bool {
	return len(f.ids.List)+len(f.realms.List)+len(f.groups.List)+len(f.roles.List) == 0
}

// columns are those that wants reads.
func (q *eventsQuestion) columns() []string {
	var names []string
	if len(q.names.List) > 0 {
		names = append(names, columns.Name)
	}
	if len(q.randomIDs.List) > 0 {
		names = append(names, columns.RandomID)
	}
	if !q.user.empty() {
		names = append(names, columns.User, columns.ClientID)
	}
	return names
}

// wants returns which rows of a batch pass the filters, and nil if all do.
func (q *eventsQuestion) wants(rows *columns.View) func(int) bool {
	var tests []func(int) bool
	if len(q.names.List) > 0 {
		tests = append(tests, once(&rows.Name, q.names.Has))
	}
	if len(q.randomIDs.List) > 0 {
		tests = append(tests, once(&rows.RandomID, q.randomIDs.Has))
	}
	if q.ids != nil {
		tests = append(tests, func(i int) bool { return q.ids[view.RowID{Shard: rows.Shard[i], Offset: rows.Offset[i]}] })
	}
	if !q.user.empty() {
		tests = append(tests, q.user.test(rows))
	}
	switch len(tests) {
	case 0:
		return nil
	case 1:
		return tests[0]
	}
	return func(i int) bool {
		return !slices.ContainsFunc(tests, func(passes func(int) bool) bool { return !passes(i) })
	}
}

// texts returns conditions that every row which wants lets through meets.
func (q *eventsQuestion) texts() []lake.TextFilter {
	var out []lake.TextFilter
	if len(q.names.List) > 0 {
		out = append(out, lake.TextFilter{Column: columns.Name, Matches: q.names.Has})
	}
	if len(q.randomIDs.List) > 0 {
		out = append(out, lake.TextFilter{Column: columns.RandomID, Matches: q.randomIDs.Has})
	}
	if !q.user.empty() {
		out = append(out, lake.TextFilter{Column: columns.User, Matches: func(text string) bool { return q.user.verdict(text) != refused }})
	}
	return out
}

// textsDecide reports whether every row that meets texts is wanted.
func (q *eventsQuestion) textsDecide() bool { return q.ids == nil && len(q.user.ids.List) == 0 }

// once returns f of the value of a row of col, "" for null. Each value of a
// dictionary-encoded column is computed once for all its rows.
func once[T any](col *columns.Strings, f func(string) T) func(int) T {
	if !col.IsDictionary() {
		return func(i int) T { return f(col.At(i)) }
	}
	known := make([]*T, col.DictionaryLen())
	return func(i int) T {
		code := col.Code(i)
		if code < 0 {
			return f("")
		}
		if known[code] == nil {
			known[code] = new(f(col.DictionaryValue(code)))
		}
		return *known[code]
	}
}

// eventUser has the members of `$user` that filters read.
type eventUser struct {
	ID     values.OneOrMany `json:"id"`
	Realm  values.OneOrMany `json:"realm"`
	Groups values.OneOrMany `json:"groups"`
	Roles  values.OneOrMany `json:"roles"`
}

// verdict is what `$user` alone decides about a row.
type verdict int8

const (
	refused  verdict = iota
	accepted         // whoever the client is
	byEUID           // if the EUID is wanted as user id
)

// maxVerdictBytes bounds the texts of userVerdicts.
const maxVerdictBytes = 1 << 20

// userVerdicts remembers what was decided about `$user`: to parse one costs as much as
// to look up twenty, and each row group has the same users again.
type userVerdicts struct {
	mu    sync.Mutex // guards what follows
	known map[string]verdict
	bytes int // of the keys of known
}

// of returns the verdict on text, which judge gives where it is not known yet.
func (u *userVerdicts) of(text string, judge func(string) verdict) verdict {
	u.mu.Lock()
	v, known := u.known[text]
	u.mu.Unlock()
	if known {
		return v
	}
	v = judge(text)
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.bytes+len(text) <= maxVerdictBytes {
		u.known[strings.Clone(text)] = v
		u.bytes += len(text)
	}
	return v
}

// test returns which rows of a batch pass.
func (f *userFilter) test(rows *columns.View) func(int) bool {
	judge := once(&rows.User, f.verdict)
	return func(i int) bool {
		switch judge(i) {
		case accepted:
			return true
		case byEUID:
			return f.ids.Has(strconv.FormatInt(rows.Client[i], 10))
		default:
			return false
		}
	}
}

// verdict returns what judge says, which it is asked once for each text.
func (f *userFilter) verdict(text string) verdict { return f.judged.of(text, f.judge) }

// judge decides on `$user`. Without an id in it, or without all of it, the user's
// id is the EUID, as the answer shows it. One that is no object has no members.
func (f *userFilter) judge(text string) verdict {
	var u eventUser
	if err := json.Unmarshal([]byte(text), &u); err != nil {
		u = eventUser{}
	}
	switch {
	case !overlaps(&f.realms, u.Realm) || !overlaps(&f.groups, u.Groups) || !overlaps(&f.roles, u.Roles):
		return refused
	case len(f.ids.List) > 0 && len(u.ID) == 0:
		return byEUID
	case overlaps(&f.ids, u.ID):
		return accepted
	}
	return refused
}

// overlaps reports whether one of has is wanted. An empty wanted accepts all.
func overlaps(wanted *cost.Texts, has []string) bool {
	if len(wanted.List) == 0 {
		return true
	}
	return slices.ContainsFunc(has, wanted.Has)
}
