package query

import (
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"

	"weir/schemas/columns"
)

// userFilter says which users' events are wanted: any of each list, all of the
// lists. An empty list wants everybody.
type userFilter struct {
	ids, realms, groups, roles []string
}

func newUserFilter(in *analyticsUser) userFilter {
	return userFilter{ids: in.ID, realms: in.Realm, groups: in.Group, roles: in.Role}
}

func (f *userFilter) empty() bool {
	return len(f.ids) == 0 && len(f.realms) == 0 && len(f.groups) == 0 && len(f.roles) == 0
}

// columns are those that wants reads.
func (q *analyticsQuestion) columns() []string {
	var names []string
	if len(q.names) > 0 {
		names = append(names, columns.Name)
	}
	if !q.user.empty() {
		names = append(names, columns.User, columns.ClientID)
	}
	return names
}

// wants says which rows of a batch pass the filters, nil if all do. What a value of a coded
// column is worth is decided once for all rows that have it.
func (q *analyticsQuestion) wants(rows *columns.View) func(int) bool {
	var named func(int) bool
	if len(q.names) > 0 {
		named = wantsOf(&rows.Name, func(name string) bool { return slices.Contains(q.names, name) })
	}
	if q.user.empty() {
		return named
	}
	user := wantsOf(&rows.User, q.user.wants)
	return func(i int) bool {
		if named != nil && !named(i) {
			return false
		}
		if rows.User.Null(i) {
			return q.user.wantsClient(rows.Client[i])
		}
		return user(i)
	}
}

// wantsOf is want of the value of each row of col.
func wantsOf(col *columns.Strings, want func(string) bool) func(int) bool {
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

// eventUser is what is read of `$user`.
type eventUser struct {
	ID     oneOrMany `json:"id"`
	Realm  oneOrMany `json:"realm"`
	Groups oneOrMany `json:"groups"`
	Roles  oneOrMany `json:"roles"`
}

// wants says whether `$user` passes. One that cannot be read passes nothing.
func (f *userFilter) wants(text string) bool {
	var u eventUser
	if err := json.Unmarshal([]byte(text), &u); err != nil {
		return false
	}
	return meet(f.ids, u.ID) && meet(f.realms, u.Realm) && meet(f.groups, u.Groups) && meet(f.roles, u.Roles)
}

// wantsClient says whether an event without `$user` passes: its user has the
// client's id, and nothing else.
func (f *userFilter) wantsClient(client int64) bool {
	return meet(f.ids, []string{strconv.FormatInt(client, 10)}) &&
		len(f.realms) == 0 && len(f.groups) == 0 && len(f.roles) == 0
}

// meet says that has is wanted: nothing is asked for, or one of it.
func meet(wanted, has []string) bool {
	if len(wanted) == 0 {
		return true
	}
	return slices.ContainsFunc(has, func(v string) bool { return slices.Contains(wanted, v) })
}
