package settings

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
)

// pgURL is a PostgreSQL URL, the address of a Greenwave server, or the path of an
// SQLite file.
type pgURL struct {
	u      *url.URL
	server bool
	sqlite string
}

// parseURL reads --db and its variables. net/url's own errors repeat the URL with
// its password, so none of them is passed on.
func parseURL(raw string) (pgURL, error) {
	scheme, rest, ok := strings.Cut(raw, ":")
	if !ok {
		return pgURL{}, errors.New("no scheme: write postgres://USER@HOST/DATABASE, sqlite:PATH or https://SERVER")
	}
	switch scheme {
	case "sqlite":
		rest = strings.TrimPrefix(rest, "//")
		if rest == "" {
			return pgURL{}, errors.New("sqlite: needs the path of a file, as in " + DefaultURL)
		}
		return pgURL{sqlite: rest}, nil
	case "http", "https":
		return parseServer(raw)
	case "postgres", "postgresql":
	default:
		return pgURL{}, errors.New("scheme " + strconv.Quote(clean(scheme)) + " is unknown: write postgres://USER@HOST/DATABASE, sqlite:PATH or https://SERVER")
	}
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" {
		return pgURL{}, errors.New("not a URL: write postgres://USER@HOST:PORT/DATABASE; special characters in a password are written as %XX (@ is %40, # is %23, / is %2F), or put the password into PGPASSWORD")
	}
	if u.Fragment != "" || strings.Contains(u.Host, "@") {
		return pgURL{}, errors.New("the password seems to contain a special character: write it as %XX (@ is %40, # is %23, / is %2F), or put the password into PGPASSWORD")
	}
	if p := u.Port(); p != "" {
		if err := checkPort(p); err != nil {
			return pgURL{}, err
		}
	}
	u.Scheme = "postgres"
	return pgURL{u: u}, nil
}

func parseServer(raw string) (pgURL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Fragment != "" || strings.Contains(u.Host, "@"):
		return pgURL{}, errors.New("not a URL: write https://HOST or https://token:TOKEN@HOST; special characters in a token are written as %XX, or put it into GREENWAVE_TOKEN")
	case u.RawQuery != "":
		return pgURL{}, errors.New("a server's address has nothing behind a \"?\": write https://HOST")
	}
	if _, ok := u.User.Password(); !ok && u.User != nil {
		return pgURL{}, errors.New("a token is written as https://token:TOKEN@HOST, or put it into GREENWAVE_TOKEN")
	}
	return pgURL{u: u, server: true}, nil
}

// open reports whether what is sent to a server can be read on the way.
func (p pgURL) open() bool { return p.u.Scheme == "http" && defaultTLS(p.u.Hostname()) == "require" }

// clean keeps what came before the first ":" from showing a secret by accident:
// only a short plain word is repeated.
func clean(scheme string) string {
	if len(scheme) > 16 || strings.ContainsAny(scheme, "@/=") {
		return "…"
	}
	return scheme
}

func checkPort(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 65535 {
		return errors.New("port is " + strconv.Quote(text) + ": must be a number from 1 to 65535")
	}
	return nil
}

func (p pgURL) String() string { return p.u.String() }

func (p pgURL) password() string {
	if pw, ok := p.u.User.Password(); ok && pw != "" {
		return pw
	}
	return p.u.Query().Get("password")
}

func (p pgURL) setPassword(pw string) {
	p.u.User = url.UserPassword(p.u.User.Username(), pw)
}

// name is the URL without password and options.
func (p pgURL) name() string {
	c := *p.u
	if p.server {
		c.User = nil
		return c.String()
	}
	if c.User != nil {
		c.User = url.User(c.User.Username())
	}
	host := c.Query().Get("host")
	c.RawQuery = ""
	if host != "" {
		c.RawQuery = url.Values{"host": {host}}.Encode()
	}
	return c.String()
}

// Split takes the password or token out of a URL: the URL without it, the secret, and
// the environment variable that it can be passed in; all empty when there is none.
func Split(raw string) (without, secret, variable string) {
	p, err := parseURL(raw)
	if err != nil || p.u == nil || p.password() == "" {
		return raw, "", ""
	}
	secret, variable = p.password(), "PGPASSWORD"
	if p.server {
		p.u.User = nil
		return p.String(), secret, "GREENWAVE_TOKEN"
	}
	q := p.u.Query()
	if q.Has("password") {
		q.Del("password")
		p.u.RawQuery = q.Encode()
	}
	if p.u.User != nil {
		p.u.User = url.User(p.u.User.Username())
	}
	return p.String(), secret, variable
}
