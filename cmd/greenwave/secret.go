package main

import (
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/greenwave-traffic/greenwave/internal/settings"
)

// hidePassword takes a password in --db out of the process list: it starts the program
// again in its own place, with the password in the environment, which other users
// cannot see. The error is a warning for the user; the program goes on.
func hidePassword() error {
	args, password, variable := withoutPassword(os.Args)
	if password == "" {
		return nil
	}
	self, err := os.Executable()
	if err == nil {
		env := slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, variable+"=") })
		env = append(env, variable+"="+password, warned+"="+variable)
		err = syscall.Exec(self, args, env) //nolint:gosec // it is this program
	}
	return errors.Join(errors.New("the password in --db can be seen in the process list: put it into "+variable+" or a configuration file instead"), err)
}

// warned tells the second start that --db held a password, and in which variable it is now.
const warned = "GREENWAVE_PASSWORD_WAS_VISIBLE"

// withoutPassword returns the arguments with the password of --db taken out.
func withoutPassword(args []string) (clean []string, password, variable string) {
	clean = slices.Clone(args)
	for i, arg := range clean {
		switch {
		case arg == "--":
			return clean, password, variable
		case arg == "--db" && i+1 < len(clean):
			if without, pw, name := settings.Split(clean[i+1]); pw != "" {
				clean[i+1], password, variable = without, pw, name
			}
		case strings.HasPrefix(arg, "--db="):
			if without, pw, name := settings.Split(arg[len("--db="):]); pw != "" {
				clean[i], password, variable = "--db="+without, pw, name
			}
		}
	}
	return clean, password, variable
}
