package ingest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"weir/schemas"
	"weir/schemas/registry"
	"weir/schemas/values"
)

// linkedNames is one element of the answer of /weir/v1/identities, which has the
// names of the request as they are stored.
type linkedNames struct {
	EUID  int64             `json:"euid"`
	Names map[string]string `json:"names"`
}

// linkedAnswer is that answer.
type linkedAnswer struct {
	Identities []linkedNames `json:"identities"`
}

// conflictError is a 409 with the names that belong to other clients.
type conflictError struct {
	*schemas.RequestError
	names []registry.NameConflict
}

// Unwrap is for errors.AsType.
func (e *conflictError) Unwrap() error { return e.RequestError }

// linkIdentities gives clients their names, all of the request or none. The values
// may be personal data, so the log has numbers and no value; a request that
// changes nothing is not logged.
func linkIdentities(ctx context.Context, s *Service, in *request) (any, error) {
	items, err := decodeIdentities(in.decoder)
	if err != nil {
		return nil, err
	}
	in.turn.end() // the names alias the body, which stays until the answer
	place, err := s.registrations.begin(ctx, in, s.now(), countNames(items))
	if err != nil {
		return nil, err
	}
	defer place.Release()
	linked, err := s.deps.Registry.LinkIdentities(ctx, in.source.Product, items)
	if err != nil {
		return nil, linkError(ctx, s, in.source.Product, err)
	}
	if linked.NewNames > 0 {
		s.deps.Log.InfoContext(ctx, "identities linked", "request_id", requestID(ctx), "product", in.source.Product, "source", in.source.Key,
			"identities", len(items), "new_names", linked.NewNames, "new_clients", linked.NewClients)
	}
	answer := linkedAnswer{make([]linkedNames, len(items))}
	for i, item := range items {
		answer.Identities[i] = linkedNames{linked.EUIDs[i], item.Names}
	}
	return answer, nil
}

func countNames(items []registry.ClientNames) (n int) {
	for _, item := range items {
		n += len(item.Names)
	}
	return n
}

// linkError returns what the client may know of an error of the registry.
func linkError(ctx context.Context, s *Service, product int64, err error) error {
	if conflict, ok := errors.AsType[*registry.ConflictError](err); ok {
		return newConflict(conflict.Conflicts)
	}
	if refused, ok := errors.AsType[*registry.LinkError](err); ok {
		return identitiesError([]schemas.ItemError{refused.ItemError}, 0)
	}
	if errors.Is(err, registry.ErrInvalid) {
		return badRequest("identities: %v", err)
	}
	if over := s.registrations.overQuota(err); over != nil {
		return over
	}
	return s.unavailable(ctx, fmt.Errorf("link identities of product %d: %w", product, err))
}

// newConflict returns the 409 that names both clients of each conflict.
func newConflict(names []registry.NameConflict) error {
	first := names[0]
	detail := fmt.Sprintf("identities[%d].names.%s: %q is a name of client %d, not of client %d",
		first.Index, first.Name, first.Value, first.EUID, first.OtherClient)
	if len(names) > 1 {
		detail += fmt.Sprintf(" (and %d more)", len(names)-1)
	}
	names = names[:min(len(names), maxItemErrors)]
	return &conflictError{&schemas.RequestError{Status: http.StatusConflict, Code: codeConflict, Detail: detail}, names}
}

// decodeIdentities parses the body of /weir/v1/identities. The result aliases the
// decoder's buffers.
//
//	identities   1 to schemas.MaxIdentityValues objects
//	euid         as in an event; optional
//	names        1 or more of registry.IdentityNames, each with a value: see identityText
func decodeIdentities(d *decoder) ([]registry.ClientNames, error) {
	var items []registry.ClientNames
	d.index, d.item = 0, item{}
	err := d.readObject(`{"identities":[{"names":{"ref_id":"..."}}]}`, func() error {
		return d.eachMember(func(name string) error {
			if name != "identities" {
				return d.json.SkipValue()
			}
			return readIdentities(d, &items)
		})
	})
	switch {
	case err != nil:
		return nil, err
	case len(d.itemErrors) > 0:
		return nil, identitiesError(d.itemErrors, d.moreItemErrors)
	case len(items) == 0:
		return nil, badRequest("identities is missing or empty: it is a list of clients and their names")
	}
	return items, nil
}

func readIdentities(d *decoder, items *[]registry.ClientNames) error {
	if d.json.PeekKind() != '[' {
		v, err := d.json.ReadValue()
		if err != nil {
			return err
		}
		return badRequest("identities must be a list, not %s", kindName(v))
	}
	if _, err := d.json.ReadToken(); err != nil {
		return err
	}
	for d.index = 0; d.json.PeekKind() != ']'; d.index++ {
		if d.index == schemas.MaxIdentityValues {
			return badRequest("identities has more than %d elements", schemas.MaxIdentityValues)
		}
		client, err := readClientNames(d)
		if err != nil {
			return err
		}
		*items = append(*items, client)
	}
	_, err := d.json.ReadToken()
	return err
}

// readClientNames parses one element. What is wrong with it is rejected, and the
// next element can be read.
func readClientNames(d *decoder) (registry.ClientNames, error) {
	client := registry.ClientNames{Names: map[string]string{}}
	if d.json.PeekKind() != '{' {
		v, err := d.json.ReadValue()
		if err == nil {
			d.reject("", "must be an object, not "+kindName(v))
		}
		return client, err
	}
	before := len(d.itemErrors) + d.moreItemErrors
	err := d.eachMember(func(name string) error {
		if name == "names" && d.json.PeekKind() == '{' {
			return readNames(d, client.Names)
		}
		v, err := d.json.ReadValue()
		switch {
		case err != nil || v.Kind() == 'n':
		case name == "euid":
			client.EUID = d.euid(v)
		case name == "names":
			d.reject(name, "must be an object, not "+kindName(v))
		}
		return err
	})
	if len(client.Names) == 0 && len(d.itemErrors)+d.moreItemErrors == before {
		d.reject("names", "is missing or empty")
	}
	return client, err
}

func readNames(d *decoder, names map[string]string) error {
	return d.eachMember(func(name string) error {
		v, err := d.json.ReadValue()
		switch {
		case err != nil || v.Kind() == 'n':
		case !slices.Contains(registry.IdentityNames(), name):
			d.reject("names", "may have "+strings.Join(registry.IdentityNames(), ", ")+" and no other name")
		default:
			names[name] = identityText(d, name, v)
		}
		return err
	})
}

// identityText returns a value: a string of 1 to schemas.MaxIdentityChars characters
// without U+0000, or a whole number, which counts as its digits: customerId is a
// number in the User Events API.
func identityText(d *decoder, name string, v jsontext.Value) string {
	field := "names." + name
	if v.Kind() == '"' {
		text := d.stringValue(v)
		if n := utf8.RuneCountInString(text); n == 0 || n > schemas.MaxIdentityChars || strings.ContainsRune(text, 0) {
			d.reject(field, fmt.Sprintf("has %d characters, not 1 to %d, or holds U+0000", n, schemas.MaxIdentityChars))
		}
		return text
	}
	if v.Kind() != '0' {
		d.reject(field, "must be a string or a whole number, not "+kindName(v))
		return ""
	}
	n, whole := values.Whole(v)
	text := strconv.FormatInt(n, 10)
	if !whole {
		d.reject(field, "is a number that is not whole or is too large; give it as a string")
	}
	return text
}

// identitiesError returns the 400 that names bad elements; more says how many are
// not in errs.
func identitiesError(errs []schemas.ItemError, more int) error {
	first := errs[0]
	at := fmt.Sprintf("identities[%d]", first.Index)
	if first.Field != "" {
		at += "." + first.Field
	}
	detail := at + " " + first.Reason
	if more += len(errs) - 1; more > 0 {
		detail += fmt.Sprintf(" (and %d more)", more)
	}
	return &schemas.RequestError{Status: http.StatusBadRequest, Code: codeBadItems, Detail: detail, Items: errs}
}
