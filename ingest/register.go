package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"weir/schemas"
	"weir/schemas/registry"
)

// identity is one element of the answer of /v1/user/register.
type identity struct {
	Value string `json:"identity_value"`
	EUID  int64  `json:"euid"`
}

// registration is the body of /v1/user/register.
type registration struct {
	Name   string   `json:"identity_name"`
	Values []string `json:"identity_values"`
}

// register returns the EUID of each value, in the order of the request, and
// allocates those that are new. A repeated value is answered repeatedly.
func (s *Service) register(ctx context.Context, in *request) (any, error) {
	want, err := decodeRegistration(in.decoder.body)
	if err != nil {
		return nil, err
	}
	s.decoded(in) // the values are copies
	place, err := s.registrations.begin(ctx, in, s.now(), len(want.Values))
	if err != nil {
		return nil, err
	}
	defer place.Release()
	ids, err := s.deps.Registry.RegisterIdentities(ctx, in.source.Product, want.Name, want.Values)
	if errors.Is(err, registry.ErrInvalid) {
		return nil, badRequest("identity_values: %v", err)
	}
	if over := s.registrations.overQuota(err); over != nil {
		return nil, over
	}
	if err != nil {
		return nil, s.unavailable(ctx, fmt.Errorf("register %d identities of product %d: %w", len(want.Values), in.source.Product, err))
	}
	data := make([]identity, len(ids))
	for i, id := range ids {
		data[i] = identity{want.Values[i], id}
	}
	return envelope{Message: "success", Data: data}, nil
}

// typeError returns a 400 that names the member with the wrong type. The text of
// the library's error is left out because it varies from run to run.
func typeError(err error) error {
	const shape = `the body is not like {"identity_name":"user_id","identity_values":["..."]}`
	if se, ok := errors.AsType[*json.SemanticError](err); ok {
		return badRequest("%s: %s has another type", shape, cmp.Or(string(se.JSONPointer), "all of it"))
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return badRequest("%s: it is cut short", shape)
	}
	return syntaxError(err)
}

func decodeRegistration(body []byte) (registration, error) {
	var want registration
	if err := json.Unmarshal(body, &want); err != nil {
		return want, typeError(err)
	}
	if !slices.Contains(registry.IdentityNames(), want.Name) {
		return want, badRequest("identity_name %q is not one of %s", want.Name, strings.Join(registry.IdentityNames(), ", "))
	}
	if n := len(want.Values); n == 0 || n > schemas.MaxIdentityValues {
		return want, badRequest("identity_values has %d values, not 1 to %d", n, schemas.MaxIdentityValues)
	}
	for i, v := range want.Values {
		if n := utf8.RuneCountInString(v); n == 0 || n > schemas.MaxIdentityChars || strings.ContainsRune(v, 0) {
			return want, badRequest("identity_values[%d] has %d characters, not 1 to %d, or holds U+0000", i, n, schemas.MaxIdentityChars)
		}
	}
	return want, nil
}
