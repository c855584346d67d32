package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"weir/schemas/registry"
)

// adminVerb is one command of `weir admin`, as in account create.
type adminVerb struct {
	noun, verb string
	summary    string
	required   string // flags that must be given, separated by spaces
	optional   string // flags that may be given
	run        func(ctx context.Context, call *adminCall) (output, error)
}

// adminCall is one command line of `weir admin` and what it works with.
type adminCall struct {
	adminFlags
	given      []string // flags on the command line, without the dashes
	positional []string // arguments that are no flags

	reg   *registry.Registry
	stdin io.Reader
}

// adminFlags are the flags of all verbs; each verb accepts some of them. Names
// and values are free text and may begin with dashes.
type adminFlags struct {
	Data          string     `key:"data"`
	Database      string     `key:"database"`
	DatabaseURL   string     `key:"database.url"` // the same flag, by the name that servers have
	Config        string     `key:"config"`
	JSON          bool       `key:"json"`
	Account       string     `key:"account"`
	ID            string     `key:"id"`
	Name          string     `key:"name" free:"yes"`
	Products      productIDs `key:"product"`
	Email         string     `key:"email"`
	PasswordStdin bool       `key:"password_stdin"`
	Rate          float64    `key:"rate"`
	Value         string     `key:"value" free:"yes"`
	EUID          int64      `key:"euid"`
	RawExport     bool       `key:"raw_export"`
	EUIDAsRef     bool       `key:"euid_as_ref"`
}

// productIDs collects --product, which may be repeated.
type productIDs []int64

// adminTasks are the commands of `weir admin` that work on the lake and not on
// the registry.
func adminTasks() []command {
	return []command{
		{"compact", "merge small data files", helpCompact, runCompact},
		{"trim", "delete from the log what the lake has", helpTrim, runTrim},
		{"accept-clock", "accept a clock that has jumped", helpAcceptClock, runAcceptClock},
		{"accept-holes", "accept that records are missing in the log", helpAcceptHoles, runAcceptHoles},
	}
}

// runAdmin runs one command on the registry. It needs no server: with or without
// one, it works on the same database.
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
	call, err := parseAdmin(args)
	if err != nil {
		return err
	}
	verb, err := findVerb(call)
	if err != nil {
		return err
	}
	if err := verb.check(call); err != nil {
		return err
	}
	return runVerb(ctx, p, verb, call)
}

// runAdminTask runs a task, which parses its own settings.
func runAdminTask(ctx context.Context, p *process, task command, args []string) error {
	if wantsHelp(args) {
		_, err := io.WriteString(p.stdout, task.help)
		return err
	}
	return task.run(ctx, p, args)
}

// runVerb opens the registry and runs the verb. It logs warnings only, so that the
// output stays readable.
func runVerb(ctx context.Context, p *process, verb adminVerb, call *adminCall) (err error) {
	cfg, err := call.settings(p)
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

	call.reg, call.stdin = reg, p.stdin
	out, err := verb.run(ctx, call)
	if err != nil {
		return explainError(err)
	}
	return out.print(p.stdout, call.JSON)
}

// settings loads the settings that locate the database. --data on the command
// line wins over a database in the variables or the file.
func (c *adminCall) settings(p *process) (Config, error) {
	var args []string
	for name, value := range map[string]string{"--data": c.Data, "--database.url": c.database(), "--config": c.Config} {
		if value != "" {
			args = append(args, name+"="+value)
		}
	}
	cfg, _, err := p.load(args, nil)
	if c.Data != "" {
		cfg.Database.URL = ""
	}
	return cfg, err
}

func (c *adminCall) database() string { return cmp.Or(c.DatabaseURL, c.Database) }

// explainError turns registry errors into errors that say what to do. What the
// registry refuses as invalid came from the command line: exit code 2.
func explainError(err error) error {
	switch {
	case errors.Is(err, registry.ErrInvalid):
		return usageError{err}
	case errors.Is(err, registry.ErrNotFound):
		return fmt.Errorf("%w, or revoked already; see: weir admin account|product|source|token|user list", err)
	}
	return err
}

// parseAdmin parses the flags of a command line, wherever they stand.
func parseAdmin(args []string) (*adminCall, error) {
	c := new(adminCall)
	settings, _ := listSettings(&c.adminFlags)
	var err error
	if c.positional, c.given, err = parseFlags(args, settings); err != nil {
		return nil, usagef("%w; see: weir admin --help", err)
	}
	if c.Data != "" && c.database() != "" {
		return nil, usagef("--data and --database both name a database: give one")
	}
	return c, nil
}

// findVerb returns the verb that the first two arguments name, and removes them.
func findVerb(c *adminCall) (adminVerb, error) {
	if len(c.positional) < 2 {
		return adminVerb{}, usagef("say what to do with what, as in: weir admin account list; see: weir admin --help")
	}
	noun, verb := c.positional[0], c.positional[1]
	c.positional = c.positional[2:]
	for _, v := range adminVerbs() {
		if v.noun == noun && v.verb == verb {
			return v, nil
		}
	}
	return adminVerb{}, usagef("unknown command %q; see: weir admin --help", noun+" "+verb)
}

// check compares the flags with those that the verb accepts and reports all
// mistakes at once. A single argument that is no flag stands for --id.
func (v adminVerb) check(c *adminCall) error {
	var wrong []string
	complain := func(format string, args ...any) {
		wrong = append(wrong, v.noun+" "+v.verb+" "+fmt.Sprintf(format, args...))
	}
	accepted := strings.Fields("data database database.url config json " + v.required + " " + v.optional)
	for _, name := range c.given {
		if !slices.Contains(accepted, name) {
			complain("takes no --%s", name)
		}
	}
	bareID := len(c.positional) == 1 && slices.Contains(accepted, "id") && !slices.Contains(c.given, "id")
	for name := range strings.FieldsSeq(v.required) {
		if !slices.Contains(c.given, name) && (name != "id" || !bareID) {
			complain("needs --%s", name)
		}
	}
	if len(c.positional) > 0 && !bareID {
		complain("takes no %q", c.positional)
	}
	if len(c.Products) > 1 && !slices.Contains(strings.Fields(v.optional), "product") {
		complain("takes one --product")
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	return usagef("%s; see: weir admin %s --help", strings.Join(wrong, "\n"), v.noun)
}

// target returns the id that was given, with --id or without.
func (c *adminCall) target() string {
	if len(c.positional) > 0 {
		return c.positional[0]
	}
	return c.ID
}

// targetProduct returns target as the id of a product.
func (c *adminCall) targetProduct() (int64, error) {
	id, err := parseProduct(c.target())
	if err != nil {
		return 0, usageError{err}
	}
	return id, nil
}

// product returns the only --product, or 0.
func (c *adminCall) product() int64 {
	return cmp.Or([]int64(c.Products)...)
}

func parseProduct(text string) (int64, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id <= 0 {
		return 0, fmt.Errorf("%q is not a product id: a positive number", text)
	}
	return id, nil
}
