package doctor_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/doctor"
	"github.com/greenwave-traffic/greenwave/internal/settings"
)

// configured is a subject whose settings come from an environment.
func configured(t *testing.T, environ ...string) *patient {
	t.Helper()
	db, err := settings.Load(settings.Input{Dir: t.TempDir(), Lookup: func(name string) (string, bool) {
		for _, kv := range environ {
			if v, ok := strings.CutPrefix(kv, name+"="); ok {
				return v, true
			}
		}
		return "", false
	}})
	return &patient{T: t, Subject: &doctor.Subject{Database: db, DatabaseErr: err, Environ: environ}}
}

func TestConfiguration(t *testing.T) {
	for name, c := range map[string]struct {
		environ []string
		want    doctor.Status
		says    string
	}{
		"nothing":                 {nil, doctor.OK, "sqlite:greenwave.db"},
		"a whole project":         {[]string{"SUPABASE_URL=https://abc.supabase.co", "SUPABASE_PASSWORD=s3cret-word"}, doctor.OK, "db.abc.supabase.co"},
		"two addresses":           {[]string{"GREENWAVE_DB=sqlite:a.db", "DATABASE_URL=sqlite:b.db"}, doctor.Warning, "GREENWAVE_DB holds"},
		"an address and parts":    {[]string{"DATABASE_URL=postgres://u:pw@127.0.0.1/d", "SUPABASE_HOST=db.abc.supabase.co", "SUPABASE_USER=postgres"}, doctor.Warning, "SUPABASE_HOST, SUPABASE_USER are not used"},
		"two projects":            {[]string{"SUPABASE_URL=https://abc.supabase.co", "SUPABASE_HOST=db.xyz.supabase.co", "SUPABASE_PASSWORD=s3cret-word"}, doctor.Failed, "SUPABASE_HOST of xyz"},
		"the user of another":     {[]string{"SUPABASE_URL=https://abc.supabase.co", "SUPABASE_HOST=aws-0-eu.pooler.supabase.com", "SUPABASE_USER=postgres.xyz", "SUPABASE_PASSWORD=s3cret-word"}, doctor.Failed, "SUPABASE_USER of xyz"},
		"the pooler's user":       {[]string{"SUPABASE_HOST=aws-0-eu.pooler.supabase.com", "SUPABASE_PASSWORD=s3cret-word"}, doctor.Failed, "must be postgres.PROJECT"},
		"the example's host":      {[]string{"SUPABASE_URL=https://your-project.supabase.co", "SUPABASE_PASSWORD=s3cret-word"}, doctor.Failed, "those of the example"},
		"the example's password":  {[]string{"SUPABASE_URL=https://abc.supabase.co", "SUPABASE_PASSWORD=your-secure-password"}, doctor.Failed, "those of the example"},
		"no password":             {[]string{"SUPABASE_URL=https://abc.supabase.co", "HOME=/nowhere"}, doctor.Warning, "set SUPABASE_PASSWORD"},
		"a misspelt name":         {[]string{"SUPABASE_PASWORD=s3cret-word"}, doctor.Warning, "did you mean SUPABASE_PASSWORD?"},
		"another misspelt name":   {[]string{"GREENWAVE_MODEL=x"}, doctor.Warning, "did you mean GREENWAVE_MODELS?"},
		"names of other programs": {[]string{"SUPABASE_ANON_KEY=x", "GREENWAVE_GRAFANA_DB_USER=x", "GREENWAVE_BIN=x"}, doctor.OK, ""},
		"a port that is none":     {[]string{"SUPABASE_HOST=h", "SUPABASE_PORT=54321a"}, doctor.Failed, "SUPABASE_PORT"},
		"a file that is not":      {[]string{"SUPABASE_URL=https://abc.supabase.co", "SUPABASE_PASSWORD=s3cret-word", "PGSSLROOTCERT=/nowhere/ca.crt"}, doctor.Failed, "/nowhere/ca.crt"},
	} {
		t.Run(name, func(t *testing.T) {
			p := configured(t, c.environ...)
			f := p.check("configuration")
			p.is(f, c.want, c.says)
			if all := f.Found + strings.Join(f.Details, ""); strings.Contains(all, "s3cret-word") {
				t.Errorf("the password is printed: %s", all)
			}
		})
	}
}

func TestFilesOfTheConfiguration(t *testing.T) {
	p := configured(t)
	p.Faults = []error{errors.New("alerts.json: line 3: must be a number")}
	p.is(p.check("configuration"), doctor.Failed, "line 3")
	p.Faults = nil
	path := filepath.Join(t.TempDir(), "database_config.json")
	if err := os.WriteFile(path, []byte(`{}`), 0o644); err != nil {
		t.Fatal(err)
	}
	p.Files = []doctor.File{{Path: path}}
	p.is(p.check("configuration"), doctor.OK, path)
	p.Files[0].Secret = true
	p.mends("configuration", doctor.Warning, "chmod 600")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestCertificates(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		left time.Duration
		want doctor.Status
		says string
	}{{time.Hour * 24 * 365, doctor.OK, ""}, {time.Hour * 24, doctor.Warning, "ends on"}, {-time.Hour, doctor.Failed, "ended on"}} {
		of := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "an authority"}, NotAfter: time.Now().Add(c.left)}
		der, err := x509.CreateCertificate(rand.Reader, of, of, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "ca.crt")
		var b bytes.Buffer
		if err := errors.Join(pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: der}), os.WriteFile(path, b.Bytes(), 0o644)); err != nil {
			t.Fatal(err)
		}
		p := configured(t, "SUPABASE_URL=https://abc.supabase.co", "SUPABASE_PASSWORD=s3cret-word", "PGSSLROOTCERT="+path)
		p.is(p.check("configuration"), c.want, c.says)
	}
}

// A variable that a program reads is one that the doctor knows.
func TestVariablesAreKnown(t *testing.T) {
	literal := regexp.MustCompile(`"((?:GREENWAVE|SUPABASE)_[A-Z_]+)"`)
	found := map[string]string{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (d.Name() == "build" || d.Name() == "bin" || strings.HasPrefix(d.Name(), ".") && d.Name() != "." && d.Name() != "..") {
			if d != nil && d.IsDir() && err == nil && path != "../.." {
				return fs.SkipDir
			}
			return err
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "internal/doctor") {
			return nil
		}
		text, err := os.ReadFile(path)
		for _, m := range literal.FindAllStringSubmatch(string(text), -1) {
			found[m[1]] = path
		}
		return err
	})
	if err != nil || len(found) < 8 {
		t.Fatalf("%d names, %v", len(found), err)
	}
	for name, path := range found {
		if strings.HasPrefix(name, "GREENWAVE_TEST_") || slices.Contains(doctor.Variables, name) {
			continue
		}
		p := configured(t, name+"=x")
		if f := p.check("configuration"); strings.Contains(f.Found, name+" is no setting") {
			t.Errorf("%s reads %s, and the doctor calls it unknown: add it to Variables", path, name)
		}
	}
}
