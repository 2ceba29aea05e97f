// Package dashboard is the pages that people see in a browser: plain ES modules, a
// stylesheet and one charting library, embedded in the program. It knows nothing of
// the server but the API.
package dashboard

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed static
var static embed.FS

type file struct {
	body []byte
	kind string
	tag  string
}

// Handler serves the dashboard. Paths that are not files are pages of it: they get
// index.html, whose script shows what the path says.
func Handler() http.Handler {
	files := map[string]file{}
	err := fs.WalkDir(static, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := static.ReadFile(name)
		if err != nil {
			return err
		}
		kind := mime.TypeByExtension(path.Ext(name))
		switch path.Ext(name) {
		case ".js":
			kind = "text/javascript; charset=utf-8"
		case ".svg":
			kind = "image/svg+xml"
		}
		files[strings.TrimPrefix(name, "static")] = file{body, kind, fmt.Sprintf(`"%x"`, sha256.Sum256(body))[:34] + `"`}
		return nil
	})
	if err != nil {
		panic(err) // the files are part of the program
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "pages can only be read", http.StatusMethodNotAllowed)
			return
		}
		f, ok := files[r.URL.Path]
		if !ok {
			if path.Ext(r.URL.Path) == ".js" || path.Ext(r.URL.Path) == ".css" || strings.HasPrefix(r.URL.Path, "/vendor/") {
				http.NotFound(w, r)
				return
			}
			f = files["/index.html"]
		}
		h := w.Header()
		h.Set("Content-Type", f.kind)
		h.Set("ETag", f.tag)
		h.Set("Cache-Control", "no-cache")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.body))
	})
}
