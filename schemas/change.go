package schemas

import "slices"

// Change is one thing that was said of a client beside its events: of its own
// properties, or of its contacts. It is immutable, and what a client has is the
// changes of it applied in the order of the log (package changes).
type Change struct {
	Product   int64      // product id, positive
	Client    int64      // EUID, positive
	Time      int64      // when the edge took it; epoch milliseconds, UTC
	Kind      ChangeKind // what it is of
	Operation string     // OpSet to OpDelete; of contacts OpSet alone
	Values    []byte     // what it is applied with: a JSON object, name → value
}

// ChangeKind is what a change is of.
type ChangeKind string

// What a change can be of.
const (
	PropertyChange ChangeKind = "property" // the client's own properties
	ContactChange  ChangeKind = "contact"  // its addresses: personal data, never in a log, a message or a metric
)

// Operations of a change.
const (
	OpSet      = "set"      // overwrites
	OpIncrease = "increase" // adds to a number; a missing one counts as 0
	OpAdd      = "add"      // adds members to a list of strings
	OpRemove   = "remove"   // takes members from one
	OpDelete   = "delete"   // drops the property
)

// Operations lists the operations that changes of kind k can have.
func (k ChangeKind) Operations() []string {
	if k == ContactChange {
		return []string{OpSet}
	}
	return []string{OpSet, OpIncrease, OpAdd, OpRemove, OpDelete}
}

// Has says that op is an operation of kind k.
func (k ChangeKind) Has(op string) bool { return slices.Contains(k.Operations(), op) }

// ContactNames lists the contacts that a client can have.
func ContactNames() []string {
	return []string{"email", "mobile_phone", "landline_phone", "whatsapp_phone"}
}
