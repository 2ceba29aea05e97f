package settings

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
)

// pgURL is a PostgreSQL URL, or the path of an SQLite file.
type pgURL struct {
	u      *url.URL
	sqlite string
}

// parseURL reads --db and its variables. net/url's own errors repeat the URL with
// its password, so none of them is passed on.
func parseURL(raw string) (pgURL, error) {
	scheme, rest, ok := strings.Cut(raw, ":")
	if !ok {
		return pgURL{}, errors.New("no scheme: write postgres://USER@HOST/DATABASE or sqlite:PATH")
	}
	switch scheme {
	case "sqlite":
		rest = strings.TrimPrefix(rest, "//")
		if rest == "" {
			return pgURL{}, errors.New("sqlite: needs the path of a file, as in " + DefaultURL)
		}
		return pgURL{sqlite: rest}, nil
	case "postgres", "postgresql":
	default:
		return pgURL{}, errors.New("scheme " + strconv.Quote(clean(scheme)) + " is unknown: write postgres://USER@HOST/DATABASE or sqlite:PATH")
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

// Split takes the password out of a PostgreSQL URL: the URL without it, and the
// password, empty when there is none. Other URLs come back unchanged.
func Split(raw string) (without, password string) {
	p, err := parseURL(raw)
	if err != nil || p.u == nil || p.password() == "" {
		return raw, ""
	}
	password = p.password()
	q := p.u.Query()
	if q.Has("password") {
		q.Del("password")
		p.u.RawQuery = q.Encode()
	}
	if p.u.User != nil {
		p.u.User = url.User(p.u.User.Username())
	}
	return p.String(), password
}
