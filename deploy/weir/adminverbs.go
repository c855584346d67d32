package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"weir/schemas/registry"
)

// maxPasswordInput is how much --password-stdin reads; bytes.
const maxPasswordInput = 4096

// adminVerbs lists the verbs in the order of the help. A new verb needs an entry
// here, a function below, and an example in nounHelp.
func adminVerbs() []adminVerb {
	return []adminVerb{
		{"account", "create", "create an account", "name", "", createAccount},
		{"account", "list", "list the accounts", "", "", listAccounts},
		{"account", "revoke", "revoke an account and all it has", "id", "", revokeAccount},
		{"product", "create", "create a product", "account", "id name", createProduct},
		{"product", "list", "list products", "", "account", listProducts},
		{"product", "revoke", "revoke a product: no more access to it", "id", "", revokeProduct},
		{"product", "set", "switch what a product has on or off", "id", productSwitches, setProduct},
		{"product", "label", "set the label of a custom property", "id name", "value", labelProperty},
		{"product", "type", "set the type of a custom property", "id name value", "", typeProperty},
		{"source", "create", "create a data source: an API key and secret", "product", "name rate", createSource},
		{"source", "list", "list data sources", "", "product", listSources},
		{"source", "revoke", "revoke a data source", "id", "", revokeSource},
		{"token", "create", "create a bearer token", "account", "product name", createToken},
		{"token", "list", "list tokens", "", "account", listTokens},
		{"token", "revoke", "revoke a token", "id", "", revokeToken},
		{"user", "create", "create a user who can log in", "account email", "password-stdin", createUser},
		{"user", "list", "list users", "", "account", listUsers},
		{"user", "revoke", "revoke a user and their sessions", "", "id email", revokeUser},
		{"identity", "create", "get or create the client of a value", "product name value", "", createIdentity},
		{"identity", "set", "map a value to a client", "product name value euid", "", setIdentity},
		{"identity", "list", "list identities", "product", "euid", listIdentities},
		{"identity", "revoke", "remove the mapping of a value", "product name value", "", revokeIdentity},
	}
}

func createAccount(ctx context.Context, c *adminCall) (output, error) {
	a, err := c.reg.CreateAccount(ctx, c.Name)
	return output{
		json:  orderedObject{{"account_id", a.ID}},
		lines: []string{"account  " + a.ID},
		hint:  "Next, give it a product: weir admin product create --account " + a.ID + " --name NAME",
	}, err
}

func listAccounts(ctx context.Context, c *adminCall) (output, error) {
	all, err := c.reg.ListAccounts(ctx)
	t := listing{columns: []string{"account_id", "name", "created", "revoked"}}
	for _, a := range all {
		t.add(a.ID, a.Name, a.Created, a.Revoked)
	}
	return t.answer(), err
}

// revokeAccount revokes the users, tokens and products of the account too. Stored
// events stay.
func revokeAccount(ctx context.Context, c *adminCall) (output, error) {
	return revokedOutput("account", c.target()), c.reg.RevokeAccount(ctx, c.target())
}

// createProduct takes the id of --id, or lets the registry choose one.
func createProduct(ctx context.Context, c *adminCall) (output, error) {
	p := registry.Product{Account: c.Account, Name: c.Name}
	if c.target() != "" {
		id, err := c.targetProduct()
		if err != nil {
			return output{}, err
		}
		p.ID = id
	}
	p, err := c.reg.CreateProduct(ctx, p)
	id := strconv.FormatInt(p.ID, 10)
	return output{
		json:  orderedObject{{"product_id", id}},
		lines: []string{"product  " + id},
		hint:  "Next, give it a data source: weir admin source create --product " + id,
	}, err
}

func listProducts(ctx context.Context, c *adminCall) (output, error) {
	all, err := c.reg.ListProducts(ctx, c.Account)
	t := listing{columns: []string{"product_id", "account_id", "name", "raw_export", "euid_as_ref", "created", "revoked"}}
	for _, p := range all {
		t.add(p.ID, p.Account, p.Name, onOff(p.RawExport), onOff(p.EUIDAsRef), p.Created, p.Revoked)
	}
	return t.answer(), err
}

func revokeProduct(ctx context.Context, c *adminCall) (output, error) {
	id, err := c.targetProduct()
	if err != nil {
		return output{}, err
	}
	return revokedOutput("product", c.target()), c.reg.RevokeProduct(ctx, id)
}

// productSwitches are the flags of product set, separated by spaces.
const productSwitches = "raw-export euid-as-ref"

// setProduct changes the switches whose flags are given and leaves the others as
// they are.
func setProduct(ctx context.Context, c *adminCall) (output, error) {
	id, err := c.targetProduct()
	if err != nil {
		return output{}, err
	}
	var change registry.ProductChange
	if slices.Contains(c.given, "raw-export") {
		change.RawExport = &c.RawExport
	}
	if slices.Contains(c.given, "euid-as-ref") {
		change.EUIDAsRef = &c.EUIDAsRef
	}
	if change == (registry.ProductChange{}) {
		return output{}, usagef("product set changes nothing: give a switch, as in --raw-export=false")
	}
	p, err := registry.SetProduct(ctx, c.reg, id, change)
	return output{
		json:  orderedObject{{"product_id", c.target()}, {"raw_export", onOff(p.RawExport)}, {"euid_as_ref", onOff(p.EUIDAsRef)}},
		lines: []string{"product      " + c.target(), "raw_export   " + onOff(p.RawExport), "euid_as_ref  " + onOff(p.EUIDAsRef)},
	}, err
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// labelProperty without --value removes the label.
func labelProperty(ctx context.Context, c *adminCall) (output, error) {
	id, err := c.targetProduct()
	if err != nil {
		return output{}, err
	}
	return output{
		json:  orderedObject{{"property", c.Name}, {"label", c.Value}},
		lines: []string{c.Name + "  " + cmp.Or(c.Value, "has no label now")},
	}, c.reg.LabelProperty(ctx, id, c.Name, c.Value)
}

func typeProperty(ctx context.Context, c *adminCall) (output, error) {
	id, err := c.targetProduct()
	if err != nil {
		return output{}, err
	}
	kind, err := strconv.Atoi(c.Value)
	if err != nil {
		return output{}, usagef("%q is not a type: 1, 2 or 3", c.Value)
	}
	return output{
		json:  orderedObject{{"property", c.Name}, {"type", c.Value}},
		lines: []string{c.Name + "  " + c.Value},
	}, c.reg.SetPropertyType(ctx, id, c.Name, kind)
}

// createSource prints the secret once. Only its hash is stored.
func createSource(ctx context.Context, c *adminCall) (output, error) {
	s, secret, err := c.reg.CreateSource(ctx, registry.Source{Product: c.product(), Name: c.Name, RatePerSecond: c.Rate})
	return output{
		json:  orderedObject{{"key", s.Key}, {"secret", secret}},
		lines: []string{"key     " + s.Key, "secret  " + secret},
		hint:  "Keep the secret now: it is stored only as a hash and is never shown again.",
	}, err
}

func listSources(ctx context.Context, c *adminCall) (output, error) {
	all, err := c.reg.ListSources(ctx, c.product())
	t := listing{columns: []string{"key", "product_id", "name", "rate", "created", "revoked"}}
	for _, s := range all {
		t.add(s.Key, s.Product, s.Name, s.RatePerSecond, s.Created, s.Revoked)
	}
	return t.answer(), err
}

func revokeSource(ctx context.Context, c *adminCall) (output, error) {
	return revokedOutput("source", c.target()), c.reg.RevokeSource(ctx, c.target())
}

// createToken makes a token for the whole account, or for the given products.
func createToken(ctx context.Context, c *adminCall) (output, error) {
	t, secret, err := c.reg.CreateToken(ctx, registry.Token{Account: c.Account, Name: c.Name, Products: c.Products})
	return output{
		json:  orderedObject{{"token_id", t.ID}, {"token", secret}},
		lines: []string{"token_id  " + t.ID, "token     " + secret},
		hint:  "Keep the token now: it is stored only as a hash and is never shown again. Its token_id revokes it.",
	}, err
}

func listTokens(ctx context.Context, c *adminCall) (output, error) {
	all, err := c.reg.ListTokens(ctx, c.Account)
	t := listing{columns: []string{"token_id", "account_id", "name", "products", "created", "revoked"}}
	for _, k := range all {
		t.add(k.ID, k.Account, k.Name, k.Products, k.Created, k.Revoked)
	}
	return t.answer(), err
}

// revokeToken prints the argument only when it is a token id: the token itself,
// which is accepted too, is a secret.
func revokeToken(ctx context.Context, c *adminCall) (output, error) {
	name := c.target()
	if !strings.HasPrefix(name, "tok_") {
		name = "that was given"
	}
	return revokedOutput("token", name), c.reg.RevokeToken(ctx, c.target())
}

// createUser generates a password unless it comes from standard input. There is no
// flag for the password, since other users of the machine can read flags.
func createUser(ctx context.Context, c *adminCall) (output, error) {
	password := rand.Text()
	if c.PasswordStdin {
		var err error
		if password, err = readPassword(c.stdin); err != nil {
			return output{}, err
		}
	}
	u, err := c.reg.CreateUser(ctx, registry.User{Account: c.Account, Email: c.Email}, password)
	a := output{json: orderedObject{{"user_id", u.ID}}, lines: []string{"user      " + u.ID}}
	switch {
	case !c.PasswordStdin:
		a.json = append(a.json, jsonField{"password", password})
		a.lines = append(a.lines, "password  "+password)
		a.hint = "Keep the password now: it is stored only as a hash and is never shown again."
	case len(password) < 8:
		a.hint = "The password is short: 8 characters and more are harder to guess."
	}
	return a, err
}

// readPassword returns the input without the end of its line.
func readPassword(stdin io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(stdin, maxPasswordInput))
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	if len(text) == 0 {
		return "", usagef("--password-stdin: no password on standard input")
	}
	if bytes.ContainsAny(text, "\r\n") {
		return "", usagef("--password-stdin: the password is more than one line")
	}
	return string(text), nil
}

func listUsers(ctx context.Context, c *adminCall) (output, error) {
	all, err := c.reg.ListUsers(ctx, c.Account)
	t := listing{columns: []string{"user_id", "account_id", "email", "created", "revoked"}}
	for _, u := range all {
		t.add(u.ID, u.Account, u.Email, u.Created, u.Revoked)
	}
	return t.answer(), err
}

func revokeUser(ctx context.Context, c *adminCall) (output, error) {
	if (c.target() == "") == (c.Email == "") {
		return output{}, usagef("user revoke needs --id or --email")
	}
	who := c.target() + c.Email
	return revokedOutput("user", who), c.reg.RevokeUser(ctx, who)
}

func createIdentity(ctx context.Context, c *adminCall) (output, error) {
	euids, err := c.reg.RegisterIdentities(ctx, c.product(), c.Name, []string{c.Value})
	if err != nil {
		return output{}, err
	}
	return identityOutput(c, euids[0]), nil
}

// setIdentity maps a value to a client and replaces an earlier mapping.
func setIdentity(ctx context.Context, c *adminCall) (output, error) {
	id := registry.Identity{Product: c.product(), Name: c.Name, Value: c.Value, EUID: c.EUID}
	return identityOutput(c, c.EUID), c.reg.LinkIdentity(ctx, id)
}

func identityOutput(c *adminCall, euid int64) output {
	id := strconv.FormatInt(euid, 10)
	return output{
		json: orderedObject{
			{"product_id", strconv.FormatInt(c.product(), 10)},
			{"identity_name", c.Name},
			{"identity_value", c.Value},
			{"euid", id},
		},
		lines: []string{fmt.Sprintf("%s %s leads to client %s", c.Name, c.Value, id)},
	}
}

func listIdentities(ctx context.Context, c *adminCall) (output, error) {
	all, err := c.reg.ListIdentities(ctx, c.product(), c.EUID)
	t := listing{columns: []string{"product_id", "identity_name", "identity_value", "euid", "created"}}
	for _, id := range all {
		t.add(id.Product, id.Name, id.Value, id.EUID, id.Created)
	}
	return t.answer(), err
}

// revokeIdentity removes the mapping only; the client and its events stay.
func revokeIdentity(ctx context.Context, c *adminCall) (output, error) {
	id := registry.Identity{Product: c.product(), Name: c.Name, Value: c.Value}
	return output{
		json:  orderedObject{{"revoked", c.Name + " " + c.Value}},
		lines: []string{fmt.Sprintf("%s %s leads nowhere now", c.Name, c.Value)},
	}, c.reg.UnlinkIdentity(ctx, id)
}
