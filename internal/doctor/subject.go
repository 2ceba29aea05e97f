package doctor

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/alert"
	"github.com/greenwave-traffic/greenwave/internal/artifact"
	"github.com/greenwave-traffic/greenwave/internal/resources"
	"github.com/greenwave-traffic/greenwave/internal/settings"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/syncer"
	"github.com/greenwave-traffic/greenwave/record"
)

// Subject is what is examined. What is left out is not checked, and the finding says so.
type Subject struct {
	Database    settings.Database
	DatabaseErr error       // why no database is known
	Store       store.Store // of Database; nil when it is a server or not known

	Environ []string // NAME=value, as os.Environ
	Files   []File   // configuration files that were given or found
	Faults  []error  // what is wrong with them and with settings beyond the database

	Dir        string                                      // folder of runs
	Further    []string                                    // more such folders, of a server
	Sources    func(dir string) ([]syncer.Source, []error) // what is in it; nil: journals and files are not looked at
	Experiment string                                      // only this one, in checks of what was recorded; empty: all
	Exports    string                                      // folder of exports
	Models     artifact.Store                              // nil: none is named
	ModelsErr  error                                       // why it cannot be opened
	Backups    artifact.Shelf                              // nil: none is named
	BackupsErr error                                       // why it cannot be opened
	Sumo       string                                      // SUMO's program; empty: sumo
	Server     *Client                                     // the server to ask; nil: none was named

	OnServer bool               // a server examines itself
	Alerting func() alert.State // of this server

	Version string
	Now     func() time.Time
	// Host measures this machine; nil: it is measured.
	Host func(ctx context.Context, dir string) record.Resource
}

// File is a file of the configuration, and whether it holds a secret.
type File struct {
	Path   string
	Secret bool
}

func (s *Subject) prepare() {
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Host == nil {
		s.Host = measureHost
	}
	if s.Store != nil {
		s.Database.Name = s.Store.Name() // as backups and servers call it: without the user
	}
	if s.Database.Name == "" {
		s.Database.Name = "no database"
	}
}

// hostInterval is over how long the load of the machine is measured.
const hostInterval = 300 * time.Millisecond

func measureHost(ctx context.Context, dir string) (r record.Resource) {
	sampler := resources.New(time.Now()) //nolint:contextcheck // it takes a first sample, at once
	timer := time.NewTimer(hostInterval)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	sampler.Sample(ctx, time.Now(), dir, &r)
	return r
}

// env is a variable of the environment, empty when it is not set.
func (s *Subject) env(name string) string {
	for _, kv := range s.Environ {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			return v
		}
	}
	return ""
}

// scrub takes secrets out of a text that came from elsewhere, such as a driver's error.
func (s *Subject) scrub(text string) string {
	secrets := []string{}
	if u, err := url.Parse(s.Database.URL); err == nil && u.User != nil {
		if p, ok := u.User.Password(); ok {
			secrets = append(secrets, p, url.QueryEscape(p), url.PathEscape(p))
		}
	}
	for _, kv := range s.Environ {
		name, v, _ := strings.Cut(kv, "=")
		for _, word := range []string{"PASSWORD", "TOKEN", "SECRET", "_KEY"} {
			if strings.Contains(name, word) {
				secrets = append(secrets, v)
			}
		}
	}
	for _, secret := range secrets {
		if len(secret) >= 4 { // shorter ones stand in every text
			text = strings.ReplaceAll(text, secret, "****")
		}
	}
	return text
}

// reader is the database, when its tables are those of this program; else the finding
// that says why what needs it was not checked.
func (s *Subject) reader(ctx context.Context) (store.Store, *Finding) {
	looked := s.Database.Name
	no := func(why, mend string) (store.Store, *Finding) {
		f := notChecked(looked, why, mend)
		return nil, &f
	}
	switch {
	case s.DatabaseErr != nil:
		return no("no database is known: "+oneLine(s.DatabaseErr.Error()), "mend what the check configuration says")
	case s.Store == nil && s.Database.Server():
		return no("records go to a server, and its database is not reached from here", "give the database with --db, or open the server's own page System, Checks")
	case s.Store == nil:
		return no("no database was opened", "give it with --db")
	}
	current, newest, err := s.Store.Version(ctx)
	switch {
	case err != nil:
		return no("the database does not answer: "+oneLine(err.Error()), "mend what the check connection says")
	case current != newest:
		return no("the tables are not those of this program", "mend what the check schema says")
	}
	return s.Store, nil
}

// examiner is the database as one that can be examined.
func (s *Subject) examiner() (store.Examiner, bool) {
	e, is := s.Store.(store.Examiner)
	return e, is
}

// rows reads a query; each gets a row, whose values it must not keep.
func rows(ctx context.Context, db store.Reader, sql string, each func([]any)) error {
	table, err := db.Query(ctx, sql)
	if err != nil {
		return err
	}
	for row, err := range table.Rows {
		if err != nil {
			return err
		}
		each(row)
	}
	return nil
}

// number is a value of a query as a number.
func number(v any) (float64, bool) {
	switch n := v.(type) {
	case int64:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}

func text(v any) string {
	t, _ := v.(string)
	return t
}
