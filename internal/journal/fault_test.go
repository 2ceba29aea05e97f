package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// faultFS is the operating system with a disk that fails when it is told to.
type faultFS struct {
	osFS
	mu    sync.Mutex
	fail  func(op, name string) error // nil: the call succeeds
	short int                         // a failing write takes so many bytes
	ops   []string
	syncs chan string // told of each fdatasync when not nil
}

func (f *faultFS) check(op, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ops = append(f.ops, op+" "+filepath.Base(name))
	if f.fail == nil {
		return nil
	}
	return f.fail(op, filepath.Base(name))
}

func (f *faultFS) set(fail func(op, name string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = fail
}

func (f *faultFS) watch(syncs chan string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.syncs = syncs
}

func (f *faultFS) count(prefix string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, op := range f.ops {
		if strings.HasPrefix(op, prefix) {
			n++
		}
	}
	return n
}

func (f *faultFS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	if err := f.check("open", name); err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	file, err := f.osFS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &faultFile{File: file, fs: f, name: name}, nil
}

func (f *faultFS) Rename(from, to string) error {
	if err := f.check("rename", to); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return f.osFS.Rename(from, to)
}

func (f *faultFS) Remove(name string) error {
	if err := f.check("remove", name); err != nil {
		return &fs.PathError{Op: "remove", Path: name, Err: err}
	}
	return f.osFS.Remove(name)
}

func (f *faultFS) SyncDir(dir string) error {
	if err := f.check("syncdir", dir); err != nil {
		return &fs.PathError{Op: "sync", Path: dir, Err: err}
	}
	return f.osFS.SyncDir(dir)
}

type faultFile struct {
	File
	fs   *faultFS
	name string
}

func (f *faultFile) Write(p []byte) (int, error) {
	if err := f.fs.check("write", f.name); err != nil {
		n, werr := f.File.Write(p[:min(f.fs.short, len(p))])
		if werr != nil {
			return n, werr
		}
		return n, &fs.PathError{Op: "write", Path: f.name, Err: err}
	}
	return f.File.Write(p)
}

func (f *faultFile) Truncate(size int64) error {
	if err := f.fs.check("truncate", f.name); err != nil {
		return &fs.PathError{Op: "truncate", Path: f.name, Err: err}
	}
	return f.File.Truncate(size)
}

func (f *faultFile) Sync() error {
	err := f.fs.check("sync", f.name)
	if err == nil {
		err = f.File.Sync()
	}
	f.fs.mu.Lock()
	syncs := f.fs.syncs
	f.fs.mu.Unlock()
	if syncs != nil {
		syncs <- filepath.Base(f.name)
	}
	if err != nil {
		return &fs.PathError{Op: "fdatasync", Path: f.name, Err: err}
	}
	return nil
}

func failing(op string, err error) func(string, string) error {
	return func(o, name string) error {
		if strings.HasPrefix(o+" "+name, op) {
			return err
		}
		return nil
	}
}

// TestFaults: after each failure the journal says what and where, stays failed, and
// keeps what it acknowledged.
func TestFaults(t *testing.T) {
	tests := []struct {
		name    string
		fail    func(op, name string) error
		err     error
		short   int
		durable bool
		left    bool // an unfinished line stays
		after   int  // so many records first
	}{
		{name: "disk full", fail: failing("write", syscall.ENOSPC), err: syscall.ENOSPC},
		{name: "disk full in the middle of a line", fail: failing("write", syscall.ENOSPC), err: syscall.ENOSPC, short: 30},
		{name: "disk full and no way back", short: 30, left: true, err: syscall.ENOSPC, fail: func(op, _ string) error {
			if op == "write" || op == "truncate" {
				return syscall.ENOSPC
			}
			return nil
		}},
		{name: "input/output error", fail: failing("write", syscall.EIO), err: syscall.EIO, short: 1},
		{name: "failed fdatasync", fail: failing("sync", syscall.EIO), err: syscall.EIO, durable: true},
		{name: "no new segment", fail: failing("open 000002", syscall.ENOSPC), err: syscall.ENOSPC, after: 12},
		{name: "names not durable", fail: failing("syncdir", syscall.EIO), err: syscall.EIO, after: 12, durable: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			disk := &faultFS{short: tt.short}
			w := create(t, t.TempDir(), Options{FS: disk, SegmentSize: 1500, SyncEvery: time.Hour})
			appendSteps(t, w, 3)
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			disk.set(tt.fail)
			var first error
			for range max(tt.after, 1) {
				before := w.Logged()
				_, err := w.Append("step", []byte(stepData(before+1)), tt.durable)
				if err != nil {
					first = err
					break
				}
			}
			if !errors.Is(first, ErrFailed) || !errors.Is(first, tt.err) || !strings.Contains(first.Error(), w.Dir()) {
				t.Fatalf("append: %v", first)
			}
			logged, durable := w.Logged(), w.Durable()
			disk.set(nil) // the disk is well again; the journal must not be
			syncs := disk.count("sync ")
			for range 3 {
				if _, err := w.Append("step", []byte("{}"), true); !errors.Is(err, ErrFailed) || err.Error() != first.Error() {
					t.Fatalf("append again: %v", err)
				}
				if err := w.Flush(); !errors.Is(err, ErrFailed) {
					t.Fatalf("flush: %v", err)
				}
			}
			for range 2 {
				if err := w.Close(); !errors.Is(err, ErrFailed) || !errors.Is(err, tt.err) {
					t.Fatalf("close: %v", err)
				}
			}
			if n := disk.count("sync "); n > syncs && tt.name == "failed fdatasync" {
				t.Fatalf("fdatasync was made again")
			}
			if w.Durable() != durable || durable > logged {
				t.Fatalf("durable %d, then %d of %d", durable, w.Durable(), logged)
			}
			wantSteps(t, readAll(t, w.Dir()), 1, logged)
			report, err := Recover(w.Dir())
			if err != nil || tt.left != (report.Trimmed > 0) {
				t.Fatalf("recover: %+v, %v", report, err)
			}
			wantSteps(t, readAll(t, w.Dir()), 1, logged)
			if faults, err := Verify(w.Dir()); err != nil || len(faults) > 0 {
				t.Fatalf("verify: %v, %v", faults, err)
			}
		})
	}
}

// TestBackgroundFailure: a step's late fdatasync fails, and OnError tells.
func TestBackgroundFailure(t *testing.T) {
	disk := &faultFS{}
	told := make(chan error, 2)
	w := create(t, t.TempDir(), Options{FS: disk, SyncEvery: time.Millisecond, OnError: func(err error) { told <- err }})
	disk.set(failing("sync", syscall.EIO))
	appendSteps(t, w, 1)
	if err := <-told; !errors.Is(err, ErrFailed) || !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	if _, err := w.Append("step", []byte("{}"), false); !errors.Is(err, ErrFailed) {
		t.Fatal(err)
	}
	if err := w.Close(); !errors.Is(err, ErrFailed) {
		t.Fatal(err)
	}
	if len(told) > 0 {
		t.Fatalf("told twice: %v", <-told)
	}
}

// TestSealingFailure: what cannot be compressed stays as it is, and Recover does it
// later.
func TestSealingFailure(t *testing.T) {
	for _, op := range []string{"open 000001-000000000001.jsonl.zst.tmp", "write 000001-000000000001.jsonl.zst.tmp",
		"sync 000001-000000000001.jsonl.zst.tmp", "rename 000001-000000000001.jsonl.zst", "remove 000001-000000000001.jsonl"} {
		t.Run(op, func(t *testing.T) {
			disk := &faultFS{short: 100}
			w := create(t, t.TempDir(), Options{FS: disk, SegmentSize: 1500})
			disk.set(failing(op, syscall.ENOSPC))
			appendSteps(t, w, 30)
			if err := w.Close(); err != nil {
				t.Fatalf("close: %v", err)
			}
			if err := w.CompressErr(); !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("compress: %v", err)
			}
			wantSteps(t, readAll(t, w.Dir()), 1, 30)
			if report, err := Recover(w.Dir()); err != nil || len(report.Sealed)+len(report.Removed) == 0 {
				t.Fatalf("recover: %+v, %v", report, err)
			}
			if left, err := filepath.Glob(filepath.Join(w.Dir(), "*.jsonl")); err != nil || len(left) > 0 {
				t.Fatalf("left %v, %v", left, err)
			}
			wantSteps(t, readAll(t, w.Dir()), 1, 30)
			if faults, err := Verify(w.Dir()); err != nil || len(faults) > 0 {
				t.Fatalf("verify: %v, %v", faults, err)
			}
		})
	}
}

// TestRecoverFaults: Recover fails at each of its calls to the file system in turn,
// and the next one ends well.
func TestRecoverFaults(t *testing.T) {
	source := killed(t, 20, 1500)
	edit(t, lastFile(t, source), func(b []byte) []byte { return append(flip(1, 60)(b), "torn"...) })
	want := summary(readAll(t, source))
	for n := 0; ; n++ {
		dir := filepath.Join(t.TempDir(), "run")
		if err := os.CopyFS(dir, os.DirFS(source)); err != nil {
			t.Fatal(err)
		}
		calls, failed := 0, false
		disk := &faultFS{short: 20, fail: func(string, string) error {
			if calls++; calls > n {
				failed = true
				return syscall.EIO
			}
			return nil
		}}
		_, err := recoverRun(dir, disk, time.Now)
		if failed != (err != nil) {
			t.Fatalf("call %d: failed %v, but %v", n, failed, err)
		}
		if got := summary(readAll(t, dir)); got != want {
			t.Fatalf("call %d: got %s, want %s", n, got, want)
		}
		if _, err := Recover(dir); err != nil {
			t.Fatalf("call %d: then %v", n, err)
		}
		if got := summary(readAll(t, dir)); got != want {
			t.Fatalf("call %d: got %s after recovery, want %s", n, got, want)
		}
		if b, err := os.ReadFile(filepath.Join(dir, quarantineName)); err != nil || strings.Count(string(b), "\n") != 1 {
			t.Fatalf("call %d: quarantine %s, %v", n, b, err)
		}
		if !failed {
			return
		}
	}
}

// TestOneWrite counts the calls: one write a record, and one fdatasync for all who
// wait at a time.
func TestOneWrite(t *testing.T) {
	disk := &faultFS{}
	w := create(t, t.TempDir(), Options{FS: disk, SyncEvery: time.Hour})
	appendSteps(t, w, 100)
	if n := disk.count("write"); n != 101 {
		t.Fatalf("%d writes for a header and 100 records", n)
	}
	if n := disk.count("sync "); n != 1 {
		t.Fatalf("%d fdatasyncs before the time", n)
	}
	if _, err := w.Append("episode", []byte("{}"), true); err != nil {
		t.Fatal(err)
	}
	if n := disk.count("sync "); n != 2 || w.Durable() != 101 {
		t.Fatalf("%d fdatasyncs, durable %d", n, w.Durable())
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if n := disk.count("sync "); n != 2 {
		t.Fatalf("a flush with nothing to do made %d fdatasyncs", n)
	}
}

// TestGroupCommit: records that wait while an fdatasync runs share the next one.
func TestGroupCommit(t *testing.T) {
	disk := &faultFS{}
	w := create(t, t.TempDir(), Options{FS: disk, SyncEvery: time.Hour})
	syncs := make(chan string) // each fdatasync waits to be seen
	disk.watch(syncs)
	var done sync.WaitGroup
	episode := func() {
		if _, err := w.Append("episode", []byte("{}"), true); err != nil {
			t.Error(err)
		}
	}
	done.Go(episode)
	for disk.count("sync ") < 2 { // the first after that of Create has begun
		runtime.Gosched()
	}
	const n = 50
	for range n - 1 {
		done.Go(episode)
	}
	for w.Logged() < n {
		<-w.Appended()
	}
	<-syncs
	<-syncs
	done.Wait()
	disk.watch(nil)
	if got := disk.count("sync ") - 1; got != 2 || w.Durable() != n {
		t.Fatalf("%d fdatasyncs, durable %d", got, w.Durable())
	}
}

// TestSyncInTime: a step is durable soon without anybody asking, once for many.
func TestSyncInTime(t *testing.T) {
	disk := &faultFS{}
	w := create(t, t.TempDir(), Options{FS: disk})
	syncs := make(chan string, 10)
	disk.watch(syncs)
	begin := time.Now()
	appendSteps(t, w, 20)
	<-syncs
	if d := time.Since(begin); d < defaultSyncEvery {
		t.Fatalf("fdatasync after %v", d)
	}
	if err := w.Flush(); err != nil || w.Durable() != 20 {
		t.Fatalf("durable %d, %v", w.Durable(), err)
	}
	if n := disk.count("sync "); n != 2 {
		t.Fatalf("%d fdatasyncs", n)
	}
}

// TestDiskFull fills a real file system: a tmpfs of 1 MB where the test may mount
// one. Elsewhere TestFaults stands for it, and the log says so.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=1m", "greenwave", dir).CombinedOutput(); err != nil {
		t.Logf("no tmpfs can be mounted here (%v: %s): a full disk is tested with an injected one only, in TestFaults", err, strings.TrimSpace(string(out)))
		return
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	w := create(t, dir, Options{SegmentSize: 100 << 10})
	data := []byte(`{"x":"` + strings.Repeat("x", 1000) + `"}`)
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 700<<10), 0o644); err != nil {
		t.Fatal(err)
	}
	var err error
	n := uint64(0)
	for ; err == nil && n < 10000; n++ {
		// Not compressible, so that sealing makes no room.
		_, err = w.Append("step", fmt.Appendf(nil, `{"n":%d,%s`, n, data[1:]), n%10 == 0)
		if n == 5 {
			if werr := os.WriteFile(ballast+"2", make([]byte, 150<<10), 0o644); werr != nil {
				t.Fatal(werr)
			}
		}
		if n == 10 {
			fill(t, ballast+"3")
		}
	}
	if !errors.Is(err, ErrFailed) || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "make room") {
		t.Fatalf("after %d records: %v", n, err)
	}
	logged := w.Logged()
	if err := w.Close(); !errors.Is(err, ErrFailed) {
		t.Fatal(err)
	}
	if lines := readAll(t, w.Dir()); uint64(len(lines)) != logged {
		t.Fatalf("%d records of %d", len(lines), logged)
	}
	remove(t, ballast)
	if report, err := Recover(w.Dir()); err != nil || report.Trimmed != 0 {
		t.Fatalf("recover: %+v, %v", report, err)
	}
	h := testHeader()
	h.RunID, h.Continues = "0197f3a4-5b6c-7d8e-9f00-112233445577", h.RunID
	again, err := Create(dir, h, Options{})
	if err != nil {
		t.Fatal(err)
	}
	appendSteps(t, again, 10)
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}

// fill writes until the file system is full.
func fill(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 1000))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
