package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"weir/schemas/registry"
)

// adminVerb is one thing that `weir admin` can do.
type adminVerb struct {
	noun, verb string
	summary    string
	required   string // flags that must be given
	optional   string // flags that may be given
	run        func(ctx context.Context, call *adminCall) (output, error)
}

// adminCall is one verb being done.
type adminCall struct {
	adminFlags
	reg   *registry.Registry
	stdin io.Reader
}

// adminFlags is every flag there is; each verb takes some of them.
type adminFlags struct {
	data          string
	database      string
	config        string
	json          bool
	account       string
	id            string
	name          string
	products      productIDs
	email         string
	passwordStdin bool
	rate          float64
	value         string
	euid          int64
	given         map[string]bool // the flags on the command line
	positional    []string        // what is no flag
}

// productIDs collects --product, which may be given many times.
type productIDs []int64

func (p *productIDs) String() string { return fmt.Sprint([]int64(*p)) }

func (p *productIDs) Set(text string) error {
	id, err := parseProduct(text)
	*p = append(*p, id)
	return err
}

// runAdmin manages what the registry keeps, beside a running server or without
// one: both work on the same database.
func runAdmin(ctx context.Context, p *process, args []string) error {
	for _, task := range adminTasks() {
		if len(args) > 0 && args[0] == task.name {
			return runAdminTask(ctx, p, task, args[1:])
		}
	}
	if help, ok := adminHelp(args); ok {
		_, err := io.WriteString(p.stdout, help)
		return err
	}
	flags, err := parseAdmin(args)
	if err != nil {
		return err
	}
	verb, err := findVerb(&flags)
	if err != nil {
		return err
	}
	if err := verb.check(flags); err != nil {
		return err
	}
	return runVerb(ctx, p, verb, flags)
}

func runAdminTask(ctx context.Context, p *process, task command, args []string) error {
	if wantsHelp(args) {
		_, err := io.WriteString(p.stdout, task.help)
		return err
	}
	return task.run(ctx, p, args)
}

func runVerb(ctx context.Context, p *process, verb adminVerb, flags adminFlags) (err error) {
	cfg, err := flags.settings(p)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	reg, err := openRegistry(ctx, cfg, log)
	if errors.Is(err, errNoFolder) {
		return fmt.Errorf("%w: name the folder of a server that has been started, --data DIR, or a database, --database URL", err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reg.Close()) }()

	a, err := verb.run(ctx, &adminCall{adminFlags: flags, reg: reg, stdin: p.stdin})
	if err != nil {
		return explainError(err)
	}
	return a.print(p.stdout, flags.json)
}

// settings reads what variables and the file say of the database. A --data on
// the command line means that folder, whatever they say.
func (f adminFlags) settings(p *process) (Config, error) {
	var args []string
	for name, value := range map[string]string{"--data": f.data, "--database.url": f.database, "--config": f.config} {
		if value != "" {
			args = append(args, name+"="+value)
		}
	}
	cfg, _, err := p.load(args, nil)
	if f.data != "" {
		cfg.Database.URL = ""
	}
	return cfg, err
}

// explainError says what a bare "not found" does not, and which errors are the
// command line's.
func explainError(err error) error {
	switch {
	case errors.Is(err, registry.ErrInvalid):
		return usageError{err}
	case errors.Is(err, registry.ErrNotFound):
		return fmt.Errorf("%w, or revoked already; see: weir admin account|product|source|token|user list", err)
	}
	return err
}

// parseAdmin reads flags wherever they stand.
func parseAdmin(args []string) (adminFlags, error) {
	f := adminFlags{given: map[string]bool{}}
	set := f.set()
	for len(args) > 0 {
		if err := set.Parse(args); err != nil {
			return f, usagef("%w; see: weir admin --help", err)
		}
		args = set.Args()
		if len(args) > 0 {
			f.positional = append(f.positional, args[0])
			args = args[1:]
		}
	}
	set.Visit(func(one *flag.Flag) { f.given[one.Name] = true })
	if f.data != "" && f.database != "" {
		return f, usagef("--data and --database both name a database: give one")
	}
	return f, nil
}

func (f *adminFlags) set() *flag.FlagSet {
	set := flag.NewFlagSet("weir admin", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.StringVar(&f.data, "data", "", "")
	set.StringVar(&f.database, "database", "", "")
	set.StringVar(&f.database, "database.url", "", "")
	set.StringVar(&f.config, "config", "", "")
	set.BoolVar(&f.json, "json", false, "")
	set.StringVar(&f.account, "account", "", "")
	set.StringVar(&f.id, "id", "", "")
	set.StringVar(&f.name, "name", "", "")
	set.Var(&f.products, "product", "")
	set.StringVar(&f.email, "email", "", "")
	set.BoolVar(&f.passwordStdin, "password-stdin", false, "")
	set.Float64Var(&f.rate, "rate", 0, "")
	set.StringVar(&f.value, "value", "", "")
	set.Int64Var(&f.euid, "euid", 0, "")
	return set
}

// findVerb finds the verb that the first two words name and takes them away.
func findVerb(f *adminFlags) (adminVerb, error) {
	if len(f.positional) < 2 {
		return adminVerb{}, usagef("say what to do with what, as in: weir admin account list; see: weir admin --help")
	}
	noun, verb := f.positional[0], f.positional[1]
	f.positional = f.positional[2:]
	for _, v := range adminVerbs() {
		if v.noun == noun && v.verb == verb {
			return v, nil
		}
	}
	return adminVerb{}, usagef("unknown command %q; see: weir admin --help", noun+" "+verb)
}

// check holds what was given against what the verb takes, and reports
// everything at once. One word that is left over stands for --id.
func (v adminVerb) check(f adminFlags) error {
	var wrong []string
	complain := func(format string, args ...any) {
		wrong = append(wrong, v.noun+" "+v.verb+" "+fmt.Sprintf(format, args...))
	}
	takes := strings.Fields("data database database.url config json " + v.required + " " + v.optional)
	for name := range f.given {
		if !slices.Contains(takes, name) {
			complain("takes no --%s", name)
		}
	}
	bare := len(f.positional) == 1 && slices.Contains(takes, "id") && !f.given["id"]
	for name := range strings.FieldsSeq(v.required) {
		if !f.given[name] && (name != "id" || !bare) {
			complain("needs --%s", name)
		}
	}
	if len(f.positional) > 0 && !bare {
		complain("takes no %q", f.positional)
	}
	if len(f.products) > 1 && !slices.Contains(strings.Fields(v.optional), "product") {
		complain("takes one --product")
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	return usagef("%s; see: weir admin %s --help", strings.Join(wrong, "\n"), v.noun)
}

// target is the id that was given, with --id or without.
func (f adminFlags) target() string {
	if len(f.positional) > 0 {
		return f.positional[0]
	}
	return f.id
}

// product is the only --product, 0 if there is none.
func (f adminFlags) product() int64 {
	return cmp.Or([]int64(f.products)...)
}

func parseProduct(text string) (int64, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id <= 0 {
		return 0, fmt.Errorf("%q is not a product id: a positive number", text)
	}
	return id, nil
}
