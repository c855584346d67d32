package schemas

import "slices"

// Change is one operation on the properties or the contacts of a client. It is
// immutable; applying all changes of a client in the order of the log gives the
// client's current state (package changes).
type Change struct {
	Product   int64      // product id, positive
	Client    int64      // EUID, positive
	Time      int64      // when the edge accepted it; epoch milliseconds, UTC
	Kind      ChangeKind // properties or contacts
	Operation string     // OpSet to OpDelete; contacts have only OpSet
	Values    []byte     // operands: a JSON object, name → value
}

// ChangeKind distinguishes changes of properties from changes of contacts.
type ChangeKind string

// Kinds of a change.
const (
	PropertyChange ChangeKind = "property" // the client's own properties
	ContactChange  ChangeKind = "contact"  // the client's addresses: personal data, which never appears in a log, a message or a metric
)

// Operations of a change.
const (
	OpSet      = "set"      // overwrites the value
	OpIncrease = "increase" // adds to a number; a missing one counts as 0
	OpAdd      = "add"      // adds members to a list of strings
	OpRemove   = "remove"   // removes members from a list of strings
	OpDelete   = "delete"   // removes the property
)

// Operations lists the operations that changes of kind k can have.
func (k ChangeKind) Operations() []string {
	if k == ContactChange {
		return []string{OpSet}
	}
	return []string{OpSet, OpIncrease, OpAdd, OpRemove, OpDelete}
}

// Has reports whether op is an operation of kind k.
func (k ChangeKind) Has(op string) bool { return slices.Contains(k.Operations(), op) }

// ContactNames lists the contacts that a client can have.
func ContactNames() []string {
	return []string{"email", "mobile_phone", "landline_phone", "whatsapp_phone"}
}
