package query

import (
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"

	"weir/schemas/columns"
)

// userFilter selects events by their user, who must match every list, and matches
// a list by any of its values. An empty list matches everybody.
type userFilter struct {
	ids, realms, groups, roles []string
}

func newUserFilter(in *eventsUserFilter) userFilter {
	return userFilter{ids: in.ID, realms: in.Realm, groups: in.Group, roles: in.Role}
}

// empty reports whether the filter matches everybody, so that the user columns need
// not be read.
func (f *userFilter) empty() bool {
	return len(f.ids) == 0 && len(f.realms) == 0 && len(f.groups) == 0 && len(f.roles) == 0
}

// columns are those that wants reads.
func (q *eventsQuestion) columns() []string {
	var names []string
	if len(q.names) > 0 {
		names = append(names, columns.Name)
	}
	if !q.user.empty() {
		names = append(names, columns.User, columns.ClientID)
	}
	return names
}

// wants returns which rows of a batch pass the filters, and nil if all do.
func (q *eventsQuestion) wants(rows *columns.View) func(int) bool {
	var named func(int) bool
	if len(q.names) > 0 {
		named = matchColumn(&rows.Name, func(name string) bool { return slices.Contains(q.names, name) })
	}
	if q.user.empty() {
		return named
	}
	user := matchColumn(&rows.User, q.user.matches)
	return func(i int) bool {
		if named != nil && !named(i) {
			return false
		}
		if rows.User.Null(i) {
			return q.user.matchesClient(rows.Client[i])
		}
		return user(i)
	}
}

// matchColumn returns whether the value of a row of col is wanted. Each value of a
// dictionary-encoded column is decided once for all its rows.
func matchColumn(col *columns.Strings, want func(string) bool) func(int) bool {
	if !col.IsDictionary() {
		return func(i int) bool { return want(col.At(i)) }
	}
	verdicts := make([]int8, col.DictionaryLen()) // 0 is not decided yet
	return func(i int) bool {
		code := col.Code(i)
		if code < 0 {
			return want("")
		}
		if verdicts[code] == 0 {
			verdicts[code] = -1
			if want(col.DictionaryValue(code)) {
				verdicts[code] = 1
			}
		}
		return verdicts[code] > 0
	}
}

// eventUser has the members of `$user` that filters read.
type eventUser struct {
	ID     oneOrMany `json:"id"`
	Realm  oneOrMany `json:"realm"`
	Groups oneOrMany `json:"groups"`
	Roles  oneOrMany `json:"roles"`
}

// matches reports whether `$user` passes. One that cannot be decoded does not.
func (f *userFilter) matches(text string) bool {
	var u eventUser
	if err := json.Unmarshal([]byte(text), &u); err != nil {
		return false
	}
	return overlaps(f.ids, u.ID) && overlaps(f.realms, u.Realm) && overlaps(f.groups, u.Groups) && overlaps(f.roles, u.Roles)
}

// matchesClient reports whether an event without `$user` passes: its user has the
// client's id, and no realm, group or role.
func (f *userFilter) matchesClient(client int64) bool {
	return overlaps(f.ids, []string{strconv.FormatInt(client, 10)}) &&
		len(f.realms) == 0 && len(f.groups) == 0 && len(f.roles) == 0
}

// overlaps reports whether one of has is wanted. An empty wanted accepts all.
func overlaps(wanted, has []string) bool {
	if len(wanted) == 0 {
		return true
	}
	return slices.ContainsFunc(has, func(v string) bool { return slices.Contains(wanted, v) })
}
