// Command greenwave records training runs of traffic-signal controllers, carries
// them to a database, checks that they arrived, and answers questions about them.
// docs/cli.md lists its commands.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

func main() {
	if err := hidePassword(); err != nil {
		os.Stderr.WriteString("greenwave: " + err.Error() + "\n")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks for an orderly end; after it the default applies again,
	// so that a second one ends the program at once.
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args[1:], newApp(os.Stdout, os.Stderr, os.LookupEnv))
	stop()
	os.Exit(code)
}

// The exit codes that scripts rely on.
const (
	exitDone    = 0
	exitFailed  = 1
	exitUsage   = 2
	exitRefused = 3 // done, but something was refused
)

// run is the whole program; it returns the exit code.
func run(ctx context.Context, args []string, a *app) int {
	parser, exited, err := newParser(a)
	if err != nil {
		return a.fail(err)
	}
	a.args = args
	if len(args) == 0 {
		args = []string{"--help"}
	}
	k, err := parser.Parse(args)
	if *exited {
		return exitDone // --help has been printed
	}
	if err != nil {
		return a.fail(usage(err, args))
	}
	k.BindTo(ctx, (*context.Context)(nil))
	return a.fail(k.Run(a))
}

// newParser builds the grammar. exited becomes true when parsing printed help.
func newParser(a *app) (parser *kong.Kong, exited *bool, err error) {
	exited = new(bool)
	parser, err = kong.New(&a.cli,
		kong.Name("greenwave"),
		kong.Description("Record training runs of traffic-signal controllers, sync them to PostgreSQL, Supabase or SQLite exactly once, and query them."),
		kong.Writers(a.out, a.errw),
		kong.Exit(func(int) { *exited = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 80, NoExpandSubcommands: false}),
		kong.ExplicitGroups(groups),
		kong.Vars{"checkpoint_ref": refHelp},
	)
	return parser, exited, err
}

// usageError is wrong use of the command line.
type usageError struct {
	err  error
	next string
}

func (e *usageError) Error() string { return e.err.Error() + ": " + e.next }
func (e *usageError) Unwrap() error { return e.err }

// usage points to the help of the command that was meant.
func usage(err error, args []string) error {
	next := "greenwave --help lists the commands"
	if pe, ok := errors.AsType[*kong.ParseError](err); ok && pe.Context != nil {
		if node := pe.Context.Selected(); node != nil {
			next = node.FullPath() + " --help shows how it is used"
		} else if len(args) > 0 && (args[0] == "migrate" || args[0] == "deadletter" || args[0] == "checkpoint") {
			next = "greenwave " + args[0] + " --help shows how it is used"
		}
	}
	return &usageError{err, next}
}

// refused means that the work is done and that something was refused; what and
// where has been printed.
var errRefused = errors.New("something was refused")

// fail prints an error as one line and returns the exit code.
func (a *app) fail(err error) int {
	a.progress.clear()
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errRefused):
		return exitRefused
	}
	if a.jsonLog != nil {
		a.jsonLog.Error(oneLine(describe(err)))
	} else {
		_, _ = io.WriteString(a.errw, "greenwave: "+oneLine(describe(err))+"\n")
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		return exitUsage
	}
	return exitFailed
}
