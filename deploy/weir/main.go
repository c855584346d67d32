// Command weir accepts usage events over HTTP, stores them in Kafka, writes them
// to Iceberg tables on S3, and serves reports and exports from there: in one
// process (`weir all`) or in many (`weir ingest`, `weir processor`, `weir
// query`).
//
// Only this package uses the process: arguments, environment, signals,
// listeners. A server starts in the order main.go (the command), config.go (its
// settings), all.go or clustercommands.go, app.go (the services),
// lifecycle.go (their start and stop).
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	_ "time/tzdata" // reports name time zones, and a container may have no database of them
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() { os.Exit(run()) }

// run is main without the exit, so that deferred calls run.
func run() int {
	stdout := os.Stdout
	os.Stdout = os.Stderr // libraries that print must not mix with the output of a command
	defer func() { os.Stdout = stdout }()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the first signal drains; a second one ends the process at once
	p := &process{stdin: os.Stdin, stdout: stdout, stderr: os.Stderr, environ: os.Environ()}
	return p.command(ctx, os.Args[1:])
}

// process is what a command may use of the process.
type process struct {
	stdin   io.Reader
	stdout  io.Writer // output of the command
	stderr  io.Writer // logs, progress, errors
	environ []string  // KEY=value
}

// getenv returns a variable, or "" when it is not set. The last entry wins.
func (p *process) getenv(name string) string {
	for _, entry := range slices.Backward(p.environ) {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// print writes to standard output.
func (p *process) print(format string, args ...any) {
	_, _ = fmt.Fprintf(p.stdout, format, args...) // standard output is closed: nothing useful can be done
}

// isTerminal reports whether stream is a terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// command is one subcommand.
type command struct {
	name    string
	summary string // for `weir --help`
	help    string // for `weir NAME --help`
	run     func(ctx context.Context, p *process, args []string) error
}

// commands returns the subcommands in the order of the help. A command with a
// help text is not run when its arguments ask for help; one without handles
// --help itself.
func commands() []command {
	return []command{
		{"all", "run everything in one process, data in one folder (the default)", helpAll(), runAll},
		{"ingest", "run the Ingestion API, which takes events", helpIngest, runIngest},
		{"processor", "run a processor, which moves events from the log into the lake", helpProcessor, runProcessor},
		{"query", "run the User Events, Events and Reporting APIs", helpQuery, runQuery},
		{"admin", "accounts, products, data sources, users, tokens; compaction", "", runAdmin},
		{"import", "send files of events to the Ingestion API", helpImport, runImport},
		{"check", "audit: is every offset of the log accounted for?", helpCheck, runCheck},
		{"version", "print the version", "usage: weir version\n", runVersion},
	}
}

// usageError is a wrong command line or setting; it ends with exit code 2.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// command runs the command that args name, `weir all` by default, and returns the
// exit code.
func (p *process) command(ctx context.Context, args []string) int {
	name := "all"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name, args = args[0], args[1:]
	} else if wantsHelp(args) {
		name = "help"
	}
	if name == "help" {
		return p.exitCode("", p.usage(args))
	}
	for _, c := range commands() {
		if c.name != name {
			continue
		}
		if c.help != "" && wantsHelp(args) {
			_, err := io.WriteString(p.stdout, c.help)
			return p.exitCode(name, err)
		}
		return p.exitCode(name, c.run(ctx, p, args))
	}
	return p.exitCode("", usagef("unknown command %q, see: weir --help", name))
}

// wantsHelp reports whether args ask for help, anywhere before --.
func wantsHelp(args []string) bool {
	for _, arg := range args {
		switch arg {
		case "--":
			return false
		case "--help", "-h", "-help":
			return true
		}
	}
	return false
}

// exitCode prints err, each line with the name of the command, and returns the
// exit code for it.
func (p *process) exitCode(name string, err error) int {
	if err == nil {
		return exitDone
	}
	prefix := strings.TrimSpace("weir " + name)
	_, _ = fmt.Fprintf(p.stderr, "%s: %s\n", prefix, strings.ReplaceAll(err.Error(), "\n", "\n"+prefix+": "))
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	return exitFailed
}

// usage prints the commands. `weir help NAME` is the same as `weir NAME --help`.
func (p *process) usage(args []string) error {
	var b strings.Builder
	for _, c := range commands() {
		if len(args) > 0 && args[0] == c.name && c.help != "" {
			_, err := io.WriteString(p.stdout, c.help)
			return err
		}
	}
	b.WriteString(`weir takes usage events over HTTP, stores them in Kafka, writes them to Iceberg
tables on S3, and serves reports and zipped CSV downloads from there.

usage: weir [COMMAND] [--SETTING VALUE]...

`)
	for _, c := range commands() {
		fmt.Fprintf(&b, "  %-10s %s\n", c.name, c.summary)
	}
	b.WriteString(`
Begin with "weir all": it needs no other setting, and prints how to send a first
event and request a first report. "weir COMMAND --help" explains each command.

A setting a.b_c of the YAML file (--config FILE) is the flag --a.b-c and the
variable WEIR_A_B_C; flags win over variables, variables over the file.
"weir all --help" lists every setting.

Exit codes: 0 done, 1 failed, 2 usage.
`)
	_, err := io.WriteString(p.stdout, b.String())
	return err
}

func noArguments(rest []string) error {
	if len(rest) > 0 {
		return usagef("unexpected argument %q", rest[0])
	}
	return nil
}
