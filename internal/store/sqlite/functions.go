package sqlite

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"

	driversqlite "modernc.org/sqlite"
)

// readDriver opens the connections that read. They know the function state_json,
// which shows a state vector as a JSON array, and compile nothing but reading.
var readDriver = newReadDriver()

func newReadDriver() *driversqlite.Driver {
	d := new(driversqlite.Driver)
	d.MustRegisterDeterministicScalarFunction("state_json", 1, stateJSON)
	d.RegisterConnectionHook(func(conn driversqlite.ExecQuerierContext, _ string) error {
		guard, ok := conn.(driversqlite.AuthorizerRegisterer)
		if !ok {
			return errors.New("the driver has no authorizer")
		}
		return guard.RegisterAuthorizer(readOnly)
	})
	return d
}

func stateJSON(_ *driversqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
	switch b := args[0].(type) {
	case nil:
		return nil, nil
	case []byte:
		values, err := parseVector(b)
		if err != nil {
			return nil, fmt.Errorf("state_json: %w", err)
		}
		return string(appendVectorJSON(nil, values)), nil
	default:
		return nil, fmt.Errorf("state_json: takes a state_vector, not %T", b)
	}
}

// describing are the pragmas that only describe the database.
var describing = []string{
	"table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo",
	"foreign_key_list", "application_id", "user_version", "page_size", "page_count",
	"journal_mode", "data_version", "freelist_count", "database_list", "compile_options", "function_list", "quick_check", "integrity_check",
}

// readOnly is the second lock on a connection whose file is open for reading only:
// it says no when a statement is compiled, so that ATTACH, VACUUM INTO and temporary
// tables cannot reach another file either.
func readOnly(action driversqlite.AuthorizerActionCode, arg1, arg2, _, _ string) driversqlite.AuthorizerReturnCode {
	switch action {
	case driversqlite.AuthSelect, driversqlite.AuthRead, driversqlite.AuthRecursive, driversqlite.AuthTransaction:
		return driversqlite.AuthorizerOK
	case driversqlite.AuthFunction:
		if strings.EqualFold(arg2, "load_extension") {
			return driversqlite.AuthorizerDeny
		}
		return driversqlite.AuthorizerOK
	case driversqlite.AuthPragma:
		if slices.Contains(describing, strings.ToLower(arg1)) && (arg2 == "" || !strings.EqualFold(arg1, "journal_mode")) {
			return driversqlite.AuthorizerOK
		}
	}
	return driversqlite.AuthorizerDeny
}
