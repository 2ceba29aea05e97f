package greenwave

import (
	"bufio"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/journal"
)

// describe fills in the header of a run's journal: what is trained and by which
// program on which machine. Arguments and environment are left out, because people
// put secrets there.
func describe(cfg settled) journal.Header {
	h := journal.Header{
		RunID:       newRunID(),
		Experiment:  cfg.Experiment,
		Description: cfg.Description,
		Config:      cfg.hyperparameters,
		Metadata:    cfg.metadata,
		OS:          runtime.GOOS + "/" + runtime.GOARCH,
		PID:         os.Getpid(),
		Versions:    map[string]string{"go": runtime.Version()},
		StartedAt:   time.Now(),
		LogInterval: cfg.LogInterval,
	}
	// Each is a fact worth having, and none worth failing for.
	if host, err := os.Hostname(); err == nil {
		h.Host = host
	}
	if exe, err := os.Executable(); err == nil {
		h.Program = filepath.Base(exe)
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		maps.Copy(h.Versions, versions(info))
		h.GitCommit, h.GitDirty = buildCommit(info)
	}
	if wd, err := os.Getwd(); err == nil {
		// The commit that the program was built from says what ran. A program
		// from go run or go build -buildvcs=false does not know its own.
		if here := folderCommit(wd); h.GitCommit == "" {
			h.GitCommit = here
		} else if here != "" && here != h.GitCommit {
			h.Versions["working_folder"] = here
		}
	}
	return h
}

// versions are those of this module and of the trainer's own.
func versions(info *debug.BuildInfo) map[string]string {
	const module = "github.com/greenwave-traffic/greenwave"
	v := map[string]string{}
	if info.Main.Path == module {
		v["greenwave"] = info.Main.Version
		return v
	}
	if info.Main.Path != "" {
		v[info.Main.Path] = info.Main.Version
	}
	for _, d := range info.Deps {
		if d.Path == module {
			v["greenwave"] = d.Version
		}
	}
	return v
}

func buildCommit(info *debug.BuildInfo) (commit string, dirty bool) {
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			commit = s.Value
		case "vcs.modified":
			dirty = s.Value == "true"
		}
	}
	return commit, dirty
}

// folderCommit reads the commit of the repository that holds dir, without running
// git, which may not be there. It is empty when there is none.
func folderCommit(dir string) string {
	for {
		git := filepath.Join(dir, ".git")
		if st, err := os.Stat(git); err == nil {
			if !st.IsDir() { // a worktree or submodule: a file that says where
				target, ok := strings.CutPrefix(firstLine(git), "gitdir: ")
				if !ok {
					return ""
				}
				if !filepath.IsAbs(target) {
					target = filepath.Join(dir, target)
				}
				git = target
			}
			return headCommit(git)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}

// headCommit reads the commit that HEAD of a git folder names.
func headCommit(git string) string {
	ref, symbolic := strings.CutPrefix(firstLine(filepath.Join(git, "HEAD")), "ref: ")
	if !symbolic {
		return commitID(ref)
	}
	shared := git
	if common := firstLine(filepath.Join(git, "commondir")); common != "" {
		shared = common
		if !filepath.IsAbs(common) {
			shared = filepath.Join(git, common)
		}
	}
	for _, g := range []string{git, shared} {
		if c := commitID(firstLine(filepath.Join(g, filepath.FromSlash(ref)))); c != "" {
			return c
		}
	}
	f, err := os.Open(filepath.Join(shared, "packed-refs"))
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if c, name, ok := strings.Cut(lines.Text(), " "); ok && name == ref {
			return commitID(c)
		}
	}
	return ""
}

// commitID is s when it looks like a commit, SHA-1 or SHA-256.
func commitID(s string) string {
	if len(s) != 40 && len(s) != 64 || strings.Trim(s, "0123456789abcdef") != "" {
		return ""
	}
	return s
}

// firstLine is the first line of a small file, empty when it cannot be read.
func firstLine(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(line)
}
