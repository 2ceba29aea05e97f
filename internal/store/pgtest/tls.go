package pgtest

import (
	"os"
	"path/filepath"
	"testing"
)

// TLS starts the server again with a certificate and its key.
func (s *Server) TLS(t testing.TB, cert, key string) {
	t.Helper()
	s.Kill(t)
	for name, from := range map[string]string{"server.crt": cert, "server.key": key} {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(s.data(), name)
		if err := os.WriteFile(to, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if s.cred != nil {
			if err := os.Chown(to, int(s.cred.Uid), int(s.cred.Gid)); err != nil {
				t.Fatal(err)
			}
		}
	}
	appendFile(t, filepath.Join(s.data(), "postgresql.conf"), "ssl = on\n")
	s.Start(t)
}
