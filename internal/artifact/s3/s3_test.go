package s3_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/greenwave-traffic/greenwave/internal/artifact"
	"github.com/greenwave-traffic/greenwave/internal/artifact/artifacttest"
	"github.com/greenwave-traffic/greenwave/internal/artifact/s3"
)

func open(t *testing.T, url string) *s3.Bucket {
	t.Helper()
	b, err := s3.Open(url, artifacttest.Env)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBucket(t *testing.T) {
	server := artifacttest.NewServer(t)
	artifacttest.Run(t, open(t, server.URL("team/a")))
	for _, prefix := range []string{"", "team/documents"} {
		artifacttest.RunDocuments(t, open(t, server.URL(prefix)))
	}

	t.Run("parts are not sent twice", func(t *testing.T) {
		server := artifacttest.NewServer(t) // of two that sent one file at once above, the slower may have left a part
		b := open(t, server.URL("resumed"))
		o, data := artifacttest.Content(5, 40<<20)
		ctx, cancel := context.WithCancel(t.Context())
		first := &meter{Reader: bytes.NewReader(data), stopAt: 3 << 23, stop: cancel}
		if err := b.Put(ctx, o, first); err == nil {
			t.Fatal("the upload went on")
		}
		held := parts(t, server.Bucket())
		if len(held) < 1 {
			t.Fatal("the server holds no part of what was cut off")
		}
		if err := b.Put(t.Context(), o, bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
		if _, err := artifact.Fetch(t.Context(), b, o.Hash, io.Discard); err != nil {
			t.Fatal(err)
		}
		if left := parts(t, server.Bucket()); len(left) != 0 {
			t.Errorf("%d parts are left behind: the second attempt began anew: %v", len(left), left)
		}
	})
	t.Run("flipped bit", func(t *testing.T) {
		b := open(t, server.URL("bad"))
		o, data := artifacttest.Content(6, 1000)
		if err := b.Put(t.Context(), o, bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(server.Bucket(), "bad", "sha256", o.Hash[:2], o.Hash)
		data[500] ^= 4
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := artifact.Fetch(t.Context(), b, o.Hash, io.Discard); !errors.Is(err, artifact.ErrDamaged) {
			t.Errorf("fetching it: %v, want ErrDamaged", err)
		}
	})
	t.Run("wrong keys", func(t *testing.T) {
		b, err := s3.Open(server.URL(""), func(name string) (string, bool) {
			if name == "AWS_SECRET_ACCESS_KEY" {
				return "hunter2-hunter2", true
			}
			return artifacttest.Env(name)
		})
		if err != nil {
			t.Fatal(err)
		}
		o, data := artifacttest.Content(7, 10)
		err = b.Put(t.Context(), o, bytes.NewReader(data))
		if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "models") {
			t.Errorf("%v", err)
		}
	})
	t.Run("no bucket", func(t *testing.T) {
		b := open(t, strings.Replace(server.URL(""), "s3://models", "s3://nowhere", 1))
		o, data := artifacttest.Content(8, 10)
		if err := b.Put(t.Context(), o, bytes.NewReader(data)); err == nil || !strings.Contains(err.Error(), "nowhere") {
			t.Errorf("%v", err)
		}
	})
	t.Run("comes back", func(t *testing.T) {
		runs := t.TempDir()
		from, err := artifact.OpenFolder(filepath.Join(runs, artifact.FolderName))
		if err != nil {
			t.Fatal(err)
		}
		defer from.Close()
		o, data := artifacttest.Content(9, 1<<20)
		if err := from.Put(t.Context(), o, bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
		server.Stop()
		noted := 0
		waits := make(chan struct{}, 100)
		u := artifact.Uploader{Store: open(t, server.URL("back")), Logger: told(func() { waits <- struct{}{} }), Note: func(context.Context, artifact.Stored) error { noted++; return nil }}
		ended := make(chan error)
		go func() {
			res, err := u.Run(t.Context(), runs, "corridor")
			if err == nil && res.Uploaded != 1 {
				err = errors.New("nothing was uploaded")
			}
			ended <- err
		}()
		<-waits
		server.Start()
		if err := <-ended; err != nil || noted != 1 {
			t.Errorf("after the server came back: %v, noted %d times", err, noted)
		}
		if _, err := artifact.Fetch(t.Context(), u.Store, o.Hash, io.Discard); err != nil {
			t.Error(err)
		}
	})
}

func TestOpen(t *testing.T) {
	none := func(string) (string, bool) { return "", false }
	for _, c := range []struct {
		url, says string
		env       func(string) (string, bool)
	}{
		{"http://host/bucket", "s3://BUCKET", artifacttest.Env},
		{"s3://", "s3://BUCKET", artifacttest.Env},
		{"s3://key:hunter2@bucket/", "AWS_SECRET_ACCESS_KEY", artifacttest.Env},
		{"s3://bucket?secret=hunter2", `"secret" in the URL is unknown`, artifacttest.Env},
		{"s3://bucket?endpoint=https://k:hunter2@host", "AWS_SECRET_ACCESS_KEY", artifacttest.Env},
		{"s3://bucket?endpoint=http://far.example", "not encrypted", artifacttest.Env},
		{"s3://bucket?endpoint=ftp://far.example", "https://HOST/PATH", artifacttest.Env},
		{"s3://bucket", "no keys", none},
	} {
		if _, err := s3.Open(c.url, c.env); err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Open(%q) = %v, want %q", c.url, err, c.says)
		}
	}
	if b := open(t, "s3://models/team?endpoint=https://project.storage.supabase.co/storage/v1/s3&region=ap-southeast-1"); b.Name() != "s3://models/team at project.storage.supabase.co" {
		t.Errorf("name %q", b.Name())
	}
}

// parts lists the files of unfinished uploads that the server keeps.
func parts(t *testing.T, bucket string) []string {
	t.Helper()
	var all []string
	root := filepath.Join(bucket, ".sgwtmp", "multipart")
	_ = filepath.WalkDir(root, func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, p)
		}
		return nil
	})
	return all
}

// meter stops something when so many bytes were read.
type meter struct {
	*bytes.Reader
	stopAt int64
	stop   func()
}

func (m *meter) ReadAt(p []byte, at int64) (int, error) {
	if at >= m.stopAt {
		m.stop()
	}
	return m.Reader.ReadAt(p, at)
}
