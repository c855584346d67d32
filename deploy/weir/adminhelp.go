package main

import (
	"fmt"
	"slices"
	"strings"
)

const helpAdminIntro = `weir admin manages accounts, products, data sources, tokens, users and
identities. It may be used while a server runs: what it creates works at once,
what it revokes stops working within 5 seconds.

usage: weir admin NOUN VERB [FLAGS]

`

const helpAdminFlags = `
Where to work, and how to answer:
  --data DIR       the data folder of weir all (default $WEIR_DATA, else weir-data)
  --database URL   the database of a cluster, postgres://… or sqlite:/absolute/path
                   (default $WEIR_DATABASE_URL, which keeps its password out of the
                   list of processes)
  --config FILE    the YAML file that the servers read (default $WEIR_CONFIG)
  --json           one line of JSON; ids are strings. accept-clock and accept-holes
                   print text alone, and take --database.url and the other settings
  --help           after a NOUN, explains it
`

const helpAdminExamples = `
From nothing to a first event and a first report:
  weir admin account create --name "Acme"
  weir admin product create --account acc_… --id 1001 --name "Anvil"
  weir admin source create --product 1001
  weir admin token create --account acc_…

In a script:
  account=$(weir admin account create --name Acme --json | jq -r .account_id)

Exit codes: 0 done, 1 failed, 2 usage.
`

const helpProduct = `A product is what is measured; every event belongs to one. Its id is a number
you choose with --id, or a random one of ten digits. --name defaults to the id.
"label" sets the text shown for a custom property, C01 to C20; without --value
its name is shown. "type" sets its type: 1 (the default), 2 or 3; groupBy needs 3.
"set" changes the switches that are given. --raw-export=false stops the daily
files of raw events: none is built or given out until it is true again.
--euid-as-ref lets refId and customerId of the User Events API be EUIDs; without
it they are identities alone, since a customer number may be a stranger's EUID.

  weir admin product create --account acc_… --id 1001 --name "Anvil"
  weir admin product list --account acc_…
  weir admin product label --id 1001 --name C01 --value "Colour"
  weir admin product type --id 1001 --name C02 --value 3
  weir admin product set --id 1001 --raw-export=false
  weir admin product set --id 1001 --euid-as-ref=true
  weir admin product revoke --id 1001
`

// nounHelp returns the text that explains a noun.
func nounHelp(noun string) (text string, ok bool) {
	for _, one := range []struct{ noun, text string }{
		{"account", `An account is a business: users, tokens and products belong to it, and none of
another account. Revoking it revokes all of them; its events stay stored.

  weir admin account create --name "Acme"
  weir admin account list
  weir admin account revoke --id acc_…
`},
		{"product", helpProduct},
		{"source", `A data source is an API key and secret that write events to one product. The
secret is shown once. --rate N lets it send N events a second; without it there
is no limit.

  weir admin source create --product 1001 --name "web shop" --rate 500
  weir admin source list --product 1001
  weir admin source revoke --id src_…
`},
		{"token", `A bearer token reads events and reports of the whole account, including products
created later, or with --product, which may be repeated, of those products only.
The token is shown once; its token_id identifies it in lists and revokes it.

  weir admin token create --account acc_… --name "dashboard"
  weir admin token create --account acc_… --product 1001 --product 1002
  weir admin token list --account acc_…
  weir admin token revoke --id tok_…
`},
		{"user", `A user logs in with email and password and sees every product of the account.
With --password-stdin the password comes from standard input, so that no history
and no list of processes shows it; without it one is generated and shown once.

  weir admin user create --account acc_… --email ann@example.org --password-stdin < password.txt
  weir admin user list --account acc_…
  weir admin user revoke --email ann@example.org
`},
		{"identity", `An identity maps a value to a client (EUID). Its name is user_id, anonymous_id or
registration_id, ref_id or customer_id; the User Events API finds a client by
ref_id, else user_id, as its refId, and by customer_id. "create" prints the client of a value and allocates one if there is none;
"set" maps a value to the client of --euid.

  weir admin identity create --product 1001 --name user_id --value ann
  weir admin identity set --product 1001 --name ref_id --value R-17 --euid 4503599627370496
  weir admin identity list --product 1001 --euid 4503599627370496
  weir admin identity revoke --product 1001 --name ref_id --value R-17
`},
	} {
		if one.noun == noun {
			return one.text, true
		}
	}
	return "", false
}

// adminHelp returns the help that args ask for; ok is false when they do not.
func adminHelp(args []string) (string, bool) {
	if len(args) > 0 && args[0] == "help" {
		args = append(slices.Clone(args[1:]), "--help")
	}
	if len(args) > 0 && !wantsHelp(args) {
		return "", false
	}
	for _, arg := range args {
		if text, ok := nounHelp(arg); ok {
			return formatNounHelp(arg, text), true
		}
	}
	return formatAdminHelp(), true
}

func formatAdminHelp() string {
	var b strings.Builder
	b.WriteString(helpAdminIntro)
	for _, v := range adminVerbs() {
		fmt.Fprintf(&b, "  %-16s %s\n", v.noun+" "+v.verb, v.summary)
	}
	for _, task := range adminTasks() {
		fmt.Fprintf(&b, "  %-16s %s\n", task.name, task.summary)
	}
	b.WriteString(helpAdminFlags + helpAdminExamples)
	return b.String()
}

func formatNounHelp(noun, text string) string {
	var b strings.Builder
	for _, v := range adminVerbs() {
		if v.noun == noun {
			fmt.Fprintf(&b, "weir admin %s %s%s\n    %s\n", noun, v.verb, v.flags(), v.summary)
		}
	}
	b.WriteString("\n" + text + helpAdminFlags)
	return b.String()
}

// flags returns the flags of the verb for its usage line, optional ones in
// brackets.
func (v adminVerb) flags() string {
	words := map[string]string{
		"account": "--account ID", "id": "--id ID", "name": "--name NAME", "product": "--product ID", "email": "--email EMAIL",
		"password-stdin": "--password-stdin", "rate": "--rate N", "value": "--value VALUE", "euid": "--euid N",
		"raw-export": "--raw-export[=false]", "euid-as-ref": "--euid-as-ref[=false]",
	}
	var b strings.Builder
	for name := range strings.FieldsSeq(v.required) {
		b.WriteString(" " + words[name])
	}
	for name := range strings.FieldsSeq(v.optional) {
		b.WriteString(" [" + words[name] + "]")
	}
	return b.String()
}
