package remote

import (
	"context"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

const secret = "s3cr3t-t0k3n"

func run() store.Run { return store.Run{ID: uuid.NewString(), Experiment: "corridor"} }

// TestWhatServersSay: each answer has its class, which the syncer acts on, and a text
// that says what to do, without the token.
func TestWhatServersSay(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		header http.Header
		body   string
		class  error
		says   string
		after  time.Duration
	}{
		{"a page of somebody else", 404, nil, "<html>no</html>", store.ErrAuth, "is there a Greenwave server at this address?", 0},
		{"a page instead of an answer", 200, nil, "<html>welcome</html>", store.ErrAuth, "does not answer like a Greenwave server", 0},
		{"no token", 401, nil, `{"error":{"code":"token_missing","message":"a token is needed"}}`, store.ErrAuth, "GREENWAVE_TOKEN", 0},
		{"another name", 421, nil, `{"error":{"code":"foreign_host","message":"start it with --host"}}`, store.ErrAuth, "--host", 0},
		{"moved", 301, http.Header{"Location": {"https://new.example/x?" + secret}}, "", store.ErrAuth, "https://new.example: use that address", 0},
		{"too much", 429, http.Header{"Retry-After": {"7"}}, `{"error":{"code":"busy","message":"wait"}}`, store.ErrTemporary, "wait", 7 * time.Second},
		{"away for hours", 503, http.Header{"Retry-After": {"7200"}}, `{"error":{"code":"database_away","message":"away"}}`, store.ErrTemporary, "away", time.Minute},
		{"a proxy without a server", 502, nil, "bad gateway", store.ErrTemporary, "502", 0},
		{"its own password is wrong", 503, nil, `{"error":{"code":"database_refuses","message":"password"}}`, store.ErrAuth, "password", 0},
		{"its tables are old", 503, nil, `{"error":{"code":"schema","message":"migrate"}}`, store.ErrSchema, "migrate", 0},
		{"a value", 422, nil, `{"error":{"code":"refused","message":"field"}}`, store.ErrRefused, "field", 0},
		{"a proxy with a small limit", 413, nil, "too large", store.ErrRefused, "413", 0},
		{"others were faster", 409, nil, `{"error":{"code":"cursor_moved","message":"on from 7"}}`, store.ErrCursorMoved, "on from 7", 0},
		{"deleted", 410, nil, `{"error":{"code":"experiment_deleted","message":"gone"}}`, store.ErrExperimentDeleted, "gone", 0},
		{"it repeats the token", 400, nil, `{"error":{"code":"odd","message":"` + secret + `"}}`, store.ErrAuth, "****", 0},
		{"it does not know", 500, nil, `{"error":{"code":"unexpected","message":"odd"}}`, nil, "odd", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "Bearer "+secret {
					t.Errorf("the token is %q", r.Header.Get("Authorization"))
				}
				for name, values := range c.header {
					w.Header()[name] = values
				}
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			}))
			defer web.Close()
			s, err := Open("http://token:" + secret + "@" + web.Listener.Addr().String() + "/api/v1/")
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			_, err = s.Register(t.Context(), run(), false)
			if err == nil {
				t.Fatal("no error")
			}
			for _, class := range []error{store.ErrTemporary, store.ErrAuth, store.ErrRefused, store.ErrSchema, store.ErrCursorMoved, store.ErrExperimentDeleted, store.ErrNotFound} {
				if errors.Is(err, class) != errors.Is(c.class, class) {
					t.Errorf("%v is %v: %v", err, class, errors.Is(err, class))
				}
			}
			if text := err.Error(); !strings.Contains(text, c.says) || strings.Contains(text, secret) || !strings.Contains(text, s.Name()) || strings.ContainsAny(text, "\n\r") {
				t.Errorf("it says %q", text)
			}
			if f, ok := errors.AsType[*failure](err); !ok || f.RetryAfter() != c.after {
				t.Errorf("it wants to be asked again after %v", f.RetryAfter())
			}
		})
	}
}

// TestNobodyAnswers: what goes wrong on the way.
func TestNobodyAnswers(t *testing.T) {
	closed := httptest.NewServer(nil)
	address := closed.Listener.Addr().String()
	closed.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	strange := httptest.NewTLSServer(http.NotFoundHandler())
	defer strange.Close()
	for name, c := range map[string]struct {
		url, says string
		class     error
	}{
		"nobody":                 {"http://token:" + secret + "@" + address, "connection refused", store.ErrTemporary},
		"no such host":           {"https://token:" + secret + "@no.such.host.invalid", "is the host spelled right?", nil},
		"no TLS there":           {"https://token:" + secret + "@" + plain.Listener.Addr().String(), "write http:// for one on this machine", store.ErrAuth},
		"a stranger's signature": {"https://token:" + secret + "@" + strange.Listener.Addr().String(), "SSL_CERT_FILE", store.ErrAuth},
	} {
		s, err := Open(c.url)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		_, err = s.Register(ctx, run(), false)
		cancel()
		s.Close()
		if err == nil || c.class != nil && (!errors.Is(err, c.class) || !strings.Contains(err.Error(), c.says)) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, bad := range []string{"", "greenwave.example", "ftp://" + secret + "@h", "https://", "https://u:" + secret + "@h:x y"} {
		if _, err := Open(bad); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("Open(%q): %v", bad, err)
		}
	}
}

// TestTLS: the certificate is checked against the roots that SSL_CERT_FILE names. The
// roots are read once in a process, so this is one of its own.
func TestTLS(t *testing.T) {
	if address := os.Getenv("GREENWAVE_TEST_TLS"); address != "" {
		s, err := Open(address)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if _, err := s.States(t.Context(), []string{uuid.NewString()}); err != nil {
			t.Fatal(err)
		}
		return
	}
	asked := false
	web := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Path == "/below/api/v1/states"
		_, _ = w.Write([]byte(`{"items":[]}`))
	}))
	defer web.Close()
	root := filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(root, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestTLS$")
	again.Env = append(os.Environ(), "GREENWAVE_TEST_TLS="+web.URL+"/below", "SSL_CERT_FILE="+root)
	if out, err := again.CombinedOutput(); err != nil || !asked {
		t.Errorf("%v\n%s", err, out)
	}
}
