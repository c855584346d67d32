package topic

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"weir/schemas"
	"weir/schemas/eventpb"
)

// changeSamples returns a change of each kind and operation, and extreme values.
func changeSamples() map[string]schemas.Change {
	change := func(kind schemas.ChangeKind, op, values string) schemas.Change {
		return schemas.Change{Product: 1001, Client: 8404172500676253691, Time: 1654076420772, Kind: kind, Operation: op, Values: []byte(values)}
	}
	all := map[string]schemas.Change{"contact": change(schemas.ContactChange, schemas.OpSet, `{"email":"ann@example.org","mobile_phone":""}`)}
	for _, op := range schemas.PropertyChange.Operations() {
		all[op] = change(schemas.PropertyChange, op, `{"plan":"pro","seats":[ "a" ]}`)
	}
	least := change(schemas.PropertyChange, schemas.OpSet, `{}`)
	least.Product, least.Client, least.Time = 1, 1, 0
	most := least
	most.Product, most.Client, most.Time = math.MaxInt64, math.MaxInt64, schemas.MaxTimeMS
	all["least"], all["extremes"] = least, most
	return all
}

func TestChangeRoundTrip(t *testing.T) {
	for name, want := range changeSamples() {
		record := AppendChange(nil, &want)
		var e schemas.Event
		kind, err := Decode(record, &e)
		if got := kind.Change(&e); err != nil || (kind == Contact) != (want.Kind == schemas.ContactChange) || !cmp.Equal(got, want) {
			t.Errorf("%s: Decode = %v, %+v, %v; want %+v", name, kind, got, err, want)
		}
		var message eventpb.Record
		if err := proto.Unmarshal(record, &message); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		theirs, err := proto.MarshalOptions{Deterministic: true}.Marshal(&message)
		if err != nil || !bytes.Equal(record, theirs) {
			t.Errorf("%s: record %x, the generated code writes %x (%v)", name, record, theirs, err)
		}
	}
}

// TestDecodeRefusesChanges checks that the reason for refusing a change never quotes
// its content, which may be personal data.
func TestDecodeRefusesChanges(t *testing.T) {
	const secret = "ann@example.org"
	check := func(name, want string, change func(*eventpb.Record)) {
		t.Helper()
		message := &eventpb.Record{Kind: eventpb.Kind_KIND_CONTACT, ProductId: 1, ClientId: 1, Name: "set", Properties: []byte(`{"email":"` + secret + `"}`)}
		change(message)
		record, err := proto.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		var e schemas.Event
		if _, err := Decode(record, &e); err == nil || err.Error() != want || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: Decode: %v, want %s", name, err, want)
		}
	}
	check("no product", "product id is not positive", func(m *eventpb.Record) { m.ProductId = 0 })
	check("no client", "client id is not positive", func(m *eventpb.Record) { m.ClientId = -1 })
	check("before 1970", "event time is outside the years 1970 to 9999", func(m *eventpb.Record) { m.TimeMs = -1 })
	check("no operation", "operation of the change is unknown", func(m *eventpb.Record) { m.Name = "" })
	check("a property's operation", "operation of the change is unknown", func(m *eventpb.Record) { m.Name = "increase" })
	check("a later operation", "operation of the change is unknown", func(m *eventpb.Record) {
		m.Kind, m.Name = eventpb.Kind_KIND_PROPERTY, secret
	})
	check("nothing to apply", "change has no values", func(m *eventpb.Record) { m.Properties = nil })
	check("a list", "what the change is applied with is not a JSON object", func(m *eventpb.Record) { m.Properties = []byte(`["` + secret + `"]`) })
	check("broken", "what the change is applied with is not a JSON object", func(m *eventpb.Record) { m.Properties = []byte(`{"email":` + secret + `}`) })
}

// fuzzChange is FuzzDecode for a change.
func fuzzChange(t *testing.T, kind Kind, got *schemas.Event, message *eventpb.Record) {
	t.Helper()
	c := kind.Change(got)
	theirs := schemas.Change{
		Product: message.GetProductId(), Client: message.GetClientId(), Time: message.GetTimeMs(), Kind: c.Kind,
		Operation: message.GetName(), Values: message.GetProperties(),
	}
	if !cmp.Equal(theirs, c) || (message.GetKind() == eventpb.Kind_KIND_CONTACT) != (c.Kind == schemas.ContactChange) {
		t.Fatalf("the generated code decodes %+v, Decode %+v", theirs, c)
	}
	var again schemas.Event
	if kindAgain, err := Decode(AppendChange(nil, &c), &again); err != nil || kindAgain != kind || !cmp.Equal(c, kind.Change(&again)) {
		t.Fatalf("round trip: %v, %+v, %v; want %+v", kindAgain, again, err, c)
	}
}
