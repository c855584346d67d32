package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"weir/schemas/registry"
)

// adminRun is a data folder and the calls of `weir admin` on it.
type adminRun struct {
	t   *testing.T
	dir string
	reg *registry.Registry // the running server's
}

func newAdminRun(t *testing.T) adminRun {
	t.Helper()
	dir := t.TempDir()
	if err := claimFolder(dir); err != nil {
		t.Fatal(err)
	}
	reg, err := registry.Open(t.Context(), "sqlite:"+filepath.Join(dir, databaseFile), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reg.Close() })
	return adminRun{t, dir, reg}
}

// call runs one command line on the data folder and returns its output.
func (r adminRun) call(stdin string, args ...string) (string, error) {
	var out bytes.Buffer
	p := &process{stdin: strings.NewReader(stdin), stdout: &out, stderr: r.t.Output()}
	err := runAdmin(r.t.Context(), p, append(args, "--data", r.dir))
	return out.String(), err
}

// json runs a command line that must succeed and returns the JSON object.
func (r adminRun) json(stdin, line string) map[string]string {
	r.t.Helper()
	out, err := r.call(stdin, append(strings.Fields(line), "--json")...)
	if err != nil {
		r.t.Fatalf("weir admin %s: %v", line, err)
	}
	var object map[string]string
	if err := json.Unmarshal([]byte(out), &object); err != nil || strings.Count(out, "\n") != 1 {
		r.t.Fatalf("weir admin %s: printed %q (%v), want one line with one object of strings", line, out, err)
	}
	return object
}

func TestAdminCreates(t *testing.T) {
	r, ctx := newAdminRun(t), t.Context()
	account := r.json("", "account create --name Acme")["account_id"]
	if got := r.json("", "product create --account "+account+" --id 1001 --name Anvil")["product_id"]; got != "1001" {
		t.Errorf("product_id %q, want 1001", got)
	}
	random := r.json("", "product create --account "+account)["product_id"]
	if len(random) != 10 {
		t.Errorf("random product_id %q, want ten digits", random)
	}

	source := r.json("", "source create --product 1001 --rate 12.5 --name edge")
	s, err := r.reg.AuthenticateSource(ctx, source["key"], source["secret"])
	if err != nil || s.Product != 1001 || s.RatePerSecond != 12.5 || s.Name != "edge" {
		t.Errorf("source = %+v, %v", s, err)
	}
	token := r.json("", "token create --account "+account+" --product 1001 --product "+random)
	if who, err := r.reg.AuthenticateToken(ctx, token["token"]); err != nil || len(who.Products) != 2 {
		t.Errorf("principal = %+v, %v; want both products", who, err)
	}
	user := r.json("correct horse\n", "user create --account "+account+" --email ann@example.org --password-stdin")
	if who, err := r.reg.AuthenticateUser(ctx, "ann@example.org", "correct horse"); err != nil || who.User != user["user_id"] {
		t.Errorf("principal = %+v, %v; want %s", who, err, user["user_id"])
	}
	made := r.json("", "user create --account "+account+" --email bob@example.org")
	if _, err := r.reg.AuthenticateUser(ctx, "bob@example.org", made["password"]); err != nil {
		t.Errorf("the password that was made up: %v", err)
	}

	ann := r.json("", "identity create --product 1001 --name user_id --value ann")["euid"]
	r.json("", "identity set --product 1001 --name ref_id --value R-17 --euid "+ann)
	if euid, err := r.reg.ResolveIdentity(ctx, 1001, "ref_id", "R-17"); err != nil || fmt.Sprint(euid) != ann {
		t.Errorf("R-17 leads to %d (%v), want %s", euid, err, ann)
	}
}

func TestAdminRevokes(t *testing.T) {
	r := newAdminRun(t)
	account := r.json("", "account create --name Acme")["account_id"]
	r.json("", "product create --account "+account+" --id 1001")
	source := r.json("", "source create --product 1001")
	token := r.json("", "token create --account "+account)
	r.json("pw", "user create --account "+account+" --email ann@example.org --password-stdin")
	r.json("", "identity set --product 1001 --name ref_id --value R-17 --euid 5")

	for _, line := range []string{
		"identity revoke --product 1001 --name ref_id --value R-17",
		"user revoke --email ann@example.org",
		"token revoke --id " + token["token_id"],
		"source revoke " + source["key"],
		"product revoke --id 1001",
		"account revoke --id " + account,
	} {
		r.json("", line)
		if _, err := r.call("", strings.Fields(line)...); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("weir admin %s, again: %v, want not found", line, err)
		}
	}
	out, err := r.call("", "token", "revoke", token["token"])
	if err == nil || strings.Contains(out+err.Error(), token["token"]) {
		t.Errorf("revoking a token by itself tells it: %q %v", out, err)
	}
	if _, err := r.reg.AuthenticateSource(t.Context(), source["key"], source["secret"]); !errors.Is(err, registry.ErrUnauthorized) {
		t.Errorf("the revoked source: %v", err)
	}
}

func TestAdminLabelsProperties(t *testing.T) {
	r := newAdminRun(t)
	account := r.json("", "account create --name Acme")["account_id"]
	r.json("", "product create --account "+account+" --id 1001")
	r.json("", "product label --id 1001 --name C01 --value Colour")
	r.json("", "product label --id 1001 --name C02 --value Gone")
	r.json("", "product label 1001 --name C02")
	labels, err := r.reg.PropertyLabels(t.Context(), 1001)
	if diff := cmp.Diff(map[string]string{"C01": "Colour"}, labels); err != nil || diff != "" {
		t.Errorf("labels, %v: -want +got\n%s", err, diff)
	}
	_, err = r.call("", "product", "label", "--id", "4711", "--name", "C01", "--value", "x")
	if !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("a product that is not there: %v, want not found", err)
	}
}

func TestAdminSetsPropertyTypes(t *testing.T) {
	r := newAdminRun(t)
	account := r.json("", "account create --name Acme")["account_id"]
	r.json("", "product create --account "+account+" --id 1001")
	r.json("", "product type --id 1001 --name C01 --value 3")
	r.json("", "product type 1001 --name C02 --value 2")
	types, err := r.reg.PropertyTypes(t.Context(), 1001)
	if err != nil || types["C01"] != 3 || types["C02"] != 2 || types["C03"] != 1 {
		t.Errorf("types = %v (%v), want 3, 2 and 1", types, err)
	}
	_, err = r.call("", "product", "type", "--id", "4711", "--name", "C01", "--value", "3")
	if !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("a product that is not there: %v, want not found", err)
	}
}

func TestAdminSetsProducts(t *testing.T) {
	r := newAdminRun(t)
	account := r.json("", "account create --name Acme")["account_id"]
	r.json("", "product create --account "+account+" --id 1001")
	for _, c := range []struct{ flag, want string }{{"--raw-export=false", "off"}, {"--raw-export", "on"}, {"--raw-export=0", "off"}} {
		got := r.json("", "product set --id 1001 "+c.flag)
		if diff := cmp.Diff(map[string]string{"product_id": "1001", "raw_export": c.want, "euid_as_ref": "off"}, got); diff != "" {
			t.Errorf("product set %s: -want +got\n%s", c.flag, diff)
		}
		p, err := r.reg.Product(t.Context(), 1001)
		if err != nil || p.RawExport != (c.want == "on") {
			t.Errorf("after %s: %+v, %v", c.flag, p, err)
		}
		out, err := r.call("", "product", "list")
		if err != nil || !strings.Contains(out, "RAW_EXPORT") || !strings.Contains(out, " "+c.want+" ") {
			t.Errorf("after %s: product list printed %q, %v", c.flag, out, err)
		}
	}
	got := r.json("", "product set --id 1001 --euid-as-ref")
	if diff := cmp.Diff(map[string]string{"product_id": "1001", "raw_export": "off", "euid_as_ref": "on"}, got); diff != "" {
		t.Errorf("product set --euid-as-ref: -want +got\n%s", diff)
	}
	if got = r.json("", "product set --id 1001 --euid-as-ref=false --raw-export"); got["euid_as_ref"] != "off" || got["raw_export"] != "on" {
		t.Errorf("two switches at once: %v", got)
	}
	for line, want := range map[string]string{
		"product set --id 1001":                      "changes nothing",
		"product set --raw-export":                   "needs --id",
		"product set --id 1001 --raw-export=perhaps": `"perhaps" is not true or false`,
	} {
		if _, err := r.call("", strings.Fields(line)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("weir admin %s: %v, want %s", line, err, want)
		}
	}
	if _, err := r.call("", "product", "set", "--id", "4711", "--raw-export=false"); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("a product that is not there: %v, want not found", err)
	}
}

func TestAdminLists(t *testing.T) {
	r := newAdminRun(t)
	account := r.json("", "account create --name Acme")["account_id"]
	r.json("", "product create --account "+account+" --id 1001 --name Anvil")
	token := r.json("", "token create --account "+account+" --product 1001 --name reports")
	all := r.json("", "token create --account "+account)
	r.json("", "token revoke "+all["token_id"])

	out, err := r.call("", "token", "list", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var rows []map[string]any
	if err := json.Unmarshal([]byte(out), &rows); err != nil || len(rows) != 2 {
		t.Fatalf("token list = %s (%v), want two", out, err)
	}
	if rows[0]["created"] == nil || rows[1]["revoked"] == nil {
		t.Errorf("token list = %s: times are missing", out)
	}
	delete(rows[0], "created")
	want := map[string]any{"token_id": token["token_id"], "account_id": account, "name": "reports", "products": []any{"1001"}}
	if diff := cmp.Diff(want, rows[0]); diff != "" {
		t.Errorf("first token: -want +got\n%s", diff)
	}

	out, err = r.call("", "token", "list")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if err != nil || len(lines) != 3 || strings.Join(strings.Fields(lines[0]), " ") != "TOKEN_ID ACCOUNT_ID NAME PRODUCTS CREATED REVOKED" ||
		strings.Fields(lines[1])[3] != "1001" || strings.Fields(lines[2])[3] != "all" {
		t.Errorf("token list printed\n%s", out)
	}
	if out, err := r.call("", "source", "list", "--product", "1001", "--json"); err != nil || out != "[]\n" {
		t.Errorf("no sources = %q, %v; want []", out, err)
	}
}

func TestAdminShowsASecretOnce(t *testing.T) {
	r := newAdminRun(t)
	account := r.json("", "account create --name Acme")["account_id"]
	r.json("", "product create --account "+account+" --id 1001")
	out, err := r.call("", "source", "create", "--product", "1001")
	if err != nil || !strings.Contains(out, "secret  weir_") || !strings.Contains(out, "never shown again") {
		t.Errorf("printed %q (%v), want the secret and a word about it", out, err)
	}
	listed, err := r.call("", "source", "list")
	if err != nil || strings.Contains(listed, "weir_") {
		t.Errorf("the list shows the secret: %q %v", listed, err)
	}
}

func TestAdminUsageErrors(t *testing.T) {
	r := newAdminRun(t)
	for line, want := range map[string]string{
		"account":                                                   "say what to do",
		"account frobnicate":                                        "unknown command",
		"account create":                                            "needs --name",
		"account create --name x --rate 3":                          "takes no --rate",
		"account create --name x y":                                 "takes no [\"y\"]",
		"account list --nonsense":                                   "-nonsense",
		"product create --account a --id x1":                        "positive number",
		"product revoke":                                            "needs --id",
		"product revoke 1 2":                                        "takes no",
		"product label 1 --name C21 --value x":                      "C01 to C20",
		"product type 1 --name C21 --value 3":                       "C01 to C20",
		"product type 1 --name C01 --value 4":                       "1, 2 or 3",
		"product type 1 --name C01 --value three":                   "1, 2 or 3",
		"product type 1 --name C01":                                 "needs --value",
		"source create --product x":                                 "positive number",
		"source create --product 1 --product 2":                     "takes one --product",
		"source create --product 1 --rate -3":                       "rate",
		"user create":                                               "needs --account\nuser create needs --email",
		"user revoke":                                               "needs --id or --email",
		"user create --account a --email e --password-stdin":        "no password on standard input",
		"identity create --product 1 --name nick --value v":         "nick",
		"identity set --product 1 --name ref_id --value v":          "needs --euid",
		"identity set --product 1 --name ref_id --value v --euid 0": "positive",
		"account list --database sqlite:/x":                         "give one",
	} {
		_, err := r.call("", strings.Fields(line)...)
		if _, ok := errors.AsType[usageError](err); !ok || !strings.Contains(err.Error(), want) {
			t.Errorf("weir admin %s: %v, want a usage error with %q", line, err, want)
		}
	}
	for _, line := range []string{"product create --account acc_nobody", "source create --product 77", "source revoke src_x"} {
		_, err := r.call("", strings.Fields(line)...)
		if _, ok := errors.AsType[usageError](err); ok || err == nil {
			t.Errorf("weir admin %s: %v, want a failure that is not the usage", line, err)
		}
	}
}

func TestAdminReadsPasswords(t *testing.T) {
	for in, want := range map[string]string{
		"pw": "pw", "pw\n": "pw", "pw\r\n": "pw", " p w \n": " p w ", "\n": "", "": "", "a\nb\n": "",
	} {
		got, err := readPassword(strings.NewReader(in))
		if got != want || (err == nil) != (want != "") {
			t.Errorf("readPassword(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestAdminFindsItsDatabase(t *testing.T) {
	r := newAdminRun(t)
	r.json("", "account create --name Acme")
	call := func(environ []string, args ...string) (string, error) {
		var out bytes.Buffer
		p := &process{stdin: strings.NewReader(""), stdout: &out, stderr: t.Output(), environ: environ}
		err := runAdmin(context.WithoutCancel(t.Context()), p, append([]string{"account", "list"}, args...))
		return out.String(), err
	}
	url := "sqlite:" + filepath.Join(r.dir, databaseFile)
	for what, found := range map[string]func() (string, error){
		"flag":                func() (string, error) { return call(nil, "--database", url) },
		"variable":            func() (string, error) { return call([]string{"WEIR_DATABASE_URL=" + url}) },
		"folder variable":     func() (string, error) { return call([]string{"WEIR_DATA=" + r.dir}) },
		"flag beats variable": func() (string, error) { return call([]string{"WEIR_DATABASE_URL=sqlite:/no"}, "--data", r.dir) },
	} {
		if out, err := found(); err != nil || !strings.Contains(out, "Acme") {
			t.Errorf("%s: %q, %v", what, out, err)
		}
	}
	empty := t.TempDir()
	if _, err := call(nil, "--data", empty); err == nil || !strings.Contains(err.Error(), empty) {
		t.Errorf("an empty folder: %v", err)
	}
}

// TestAdminHelp checks that every verb has help and that every example in it is a
// valid command line.
func TestAdminHelp(t *testing.T) {
	help := func(args ...string) string {
		text, ok := adminHelp(args)
		if !ok {
			t.Fatalf("no help for %q", args)
		}
		return text
	}
	all := help() + help("help", "source")
	for _, v := range adminVerbs() {
		text := help(v.noun, "--help") + help(v.noun, v.verb, "-h")
		if !strings.Contains(text, v.noun+" "+v.verb) || !strings.Contains(help(), v.noun+" "+v.verb) {
			t.Errorf("%s %s is not in the help", v.noun, v.verb)
		}
		all += text
	}
	examples := 0
	for line := range strings.Lines(all) {
		example, ok := strings.CutPrefix(line, "  weir admin ")
		if !ok {
			continue
		}
		examples++
		example, _, _ = strings.Cut(example, " < ")
		f, err := parseAdmin(strings.Fields(strings.ReplaceAll(example, `"web shop"`, "shop")))
		if err != nil {
			t.Errorf("%s: %v", example, err)
			continue
		}
		v, err := findVerb(f)
		if err != nil {
			t.Errorf("%s: %v", example, err)
			continue
		}
		if err := v.check(f); err != nil {
			t.Errorf("%s: %v", example, err)
		}
	}
	if examples < 20 {
		t.Errorf("%d examples were found", examples)
	}
}
