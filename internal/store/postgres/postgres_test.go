package postgres

import (
	"errors"
	"strings"
	"testing"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// TestTLS holds which servers are trusted without a certificate.
func TestTLS(t *testing.T) {
	t.Setenv("PGSSLMODE", "")
	for _, test := range []struct {
		address      string
		tls, checked bool
	}{
		{"postgres://u@db.example.com/x", true, true},
		{"postgres://u@db.example.com:6543/x?application_name=mine", true, true},
		{"host=db.example.com user=u", true, true},
		{"postgres://u@10.0.0.7/x", true, true},
		{"postgres://u@db.example.com/x?sslmode=require", true, false},
		{"postgres://u@db.example.com/x?sslmode=disable", false, false},
		{"host=db.example.com user=u sslmode=disable", false, false},
		{"postgres://u@localhost/x", true, false},
		{"postgres://u@127.0.0.1/x", true, false},
		{"postgres://u@[::1]/x", true, false},
		{"host=/run/postgresql user=u", false, false},
	} {
		cfg, err := parse(test.address)
		if err != nil {
			t.Errorf("%s: %v", test.address, err)
			continue
		}
		tls := cfg.ConnConfig.TLSConfig
		if (tls != nil) != test.tls {
			t.Errorf("%s: TLS %v, want %v", test.address, tls != nil, test.tls)
			continue
		}
		if tls != nil && (!tls.InsecureSkipVerify && tls.ServerName != "") != test.checked {
			t.Errorf("%s: the certificate is checked: %v, want %v", test.address, !test.checked, test.checked)
		}
		if plain := len(cfg.ConnConfig.Fallbacks) > 0; test.checked && plain {
			t.Errorf("%s: falls back to %v", test.address, cfg.ConnConfig.Fallbacks)
		}
	}
}

// TestCodes holds the class of the codes that a long run meets.
func TestCodes(t *testing.T) {
	for code, want := range map[string]error{
		"08006": store.ErrTemporary, "57P01": store.ErrTemporary, "57P03": store.ErrTemporary, "40001": store.ErrTemporary,
		"40P01": store.ErrTemporary, "53100": store.ErrTemporary, "53300": store.ErrTemporary, "25006": store.ErrTemporary, "55P03": store.ErrTemporary,
		"28P01": store.ErrAuth, "28000": store.ErrAuth, "3D000": store.ErrAuth, "42501": store.ErrAuth,
		"22P05": store.ErrRefused, "22003": store.ErrRefused, "23514": store.ErrRefused, "54000": store.ErrRefused,
		"42P01": store.ErrSchema, "42703": store.ErrSchema,
	} {
		if _, class := classifyCode(code); !errors.Is(class, want) {
			t.Errorf("%s is %v, want %v", code, class, want)
		}
	}
}

func TestFirstWord(t *testing.T) {
	for sql, want := range map[string]string{
		"select 1": "SELECT", " -- a\n/* b /* c */ */ WITH x": "WITH", "(select 1)": "(", "copy x": "COPY", "": "", "-- only": "", "/* open": "",
	} {
		if got := firstWord(sql); got != want {
			t.Errorf("%q begins with %q, want %q", sql, got, want)
		}
	}
}

func TestMessagesAreScrubbed(t *testing.T) {
	s := &Store{name: "postgres://h/d", secrets: []string{"s3cret"}}
	if err := s.wrap("ask", store.ErrNotFound); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
	err := s.wrap("ask", errString("dial postgres://u:s3cret@h"))
	if strings.Contains(err.Error(), "s3cret") {
		t.Error(err)
	}
}

type errString string

func (e errString) Error() string { return string(e) }
