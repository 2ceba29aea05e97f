package remote

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/wire"
)

// failure is an error with its class; its text holds no token.
type failure struct {
	class error // nil: none of the classes of package store
	text  string
	err   error
	after time.Duration
}

func (f *failure) Error() string { return f.text }

func (f *failure) Unwrap() []error {
	var all []error
	for _, err := range []error{f.class, f.err} {
		if err != nil {
			all = append(all, err)
		}
	}
	return all
}

// RetryAfter is when the server wants to be asked again; 0: it did not say.
func (f *failure) RetryAfter() time.Duration { return f.after }

// failed classes an error on the way to the server.
func (s *Store) failed(doing string, err error) error {
	// net/url's error repeats the address, without the password.
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	class, hint := store.ErrTemporary, ""
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		class, hint = store.ErrAuth, " (is the host spelled right?)"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		class, hint = store.ErrAuth, " (the certificate does not prove the server: set SSL_CERT_FILE to the root that it was signed with)"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || errors.Is(err, http.ErrSchemeMismatch) {
		class, hint = store.ErrAuth, " (the server speaks no TLS there: write http:// for one on this machine)"
	}
	return &failure{class: class, text: fmt.Sprintf("%s: %s: %s: %s%s", s.name, doing, class, oneLine(err.Error()), hint), err: err}
}

// refused turns an answer that is not a success into an error.
func (s *Store) refused(doing string, answer *http.Response, text []byte) error {
	var said wire.Failure
	ours := json.Unmarshal(text, &said) == nil && said.Error.Code != ""
	f := &failure{}
	message := said.Error.Message
	if !ours {
		message = "it answered " + answer.Status
	}
	switch code := said.Error.Code; {
	case code == wire.CodeRefused, code == wire.CodeNoRun, code == wire.CodeBadLine, code == wire.CodeRecordTooLarge,
		answer.StatusCode == http.StatusRequestEntityTooLarge: // a proxy on the way may say so, too
		f.class = store.ErrRefused
	case code == wire.CodeCursorMoved, code == wire.CodeGap:
		f.class = store.ErrCursorMoved
	case code == wire.CodeUnknownRun, code == wire.CodeNotFound:
		f.class = store.ErrNotFound
	case code == wire.CodeSchema:
		f.class = store.ErrSchema
	case code == wire.CodeDatabaseRefuses:
		f.class = store.ErrAuth
	case code == wire.CodeExperimentDeleted:
		f.class = store.ErrExperimentDeleted
	case code == wire.CodeUnexpected:
	case answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode >= 500:
		f.class = store.ErrTemporary
		if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil && seconds > 0 {
			f.after = min(time.Duration(seconds)*time.Second, time.Minute)
		}
	case answer.StatusCode < 400:
		f.class = store.ErrAuth
		message = "it sends its callers to another address: use that"
		if to, err := answer.Location(); err == nil {
			message = fmt.Sprintf("it sends its callers to %s://%s: use that address", to.Scheme, to.Host)
		}
	default:
		// 401, 403, 421, and what only somebody else than a Greenwave server answers.
		f.class = store.ErrAuth
		if !ours {
			message += ": is there a Greenwave server at this address?"
		}
		if answer.StatusCode == http.StatusUnauthorized {
			message += "; a trainer takes the token from GREENWAVE_TOKEN"
		}
	}
	f.text = fmt.Sprintf("%s: %s: %s", s.name, doing, message)
	if f.class != nil {
		f.text = fmt.Sprintf("%s: %s: %s: %s", s.name, doing, f.class, message)
	}
	f.text = oneLine(f.text)
	if s.token != "" {
		f.text = strings.ReplaceAll(f.text, s.token, "****")
	}
	return f
}

func oneLine(text string) string {
	return strings.NewReplacer("\r", " ", "\n", "; ").Replace(text)
}
