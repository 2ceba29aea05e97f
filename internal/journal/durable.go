package journal

import (
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"time"
)

// syncLoop makes what is appended durable within w.every. It waits for nothing
// while nothing is appended.
func (w *Writer) syncLoop() {
	defer close(w.syncDone)
	timer := time.NewTimer(w.every)
	timer.Stop()
	defer timer.Stop()
	for {
		select {
		case <-w.stop:
			return
		case <-w.dirty:
		}
		timer.Reset(w.every)
		select {
		case <-w.stop:
			return
		case <-timer.C:
		}
		w.mu.Lock()
		target := w.writes
		known := w.err != nil // the caller of Append or Flush has been told
		w.mu.Unlock()
		if err := w.sync(target); err != nil && !known && w.onErr != nil {
			w.onErr(err)
			w.onErr = nil
		}
	}
}

// sync makes the first target lines durable. Whoever comes first works for all who
// wait: their lines are in the file by then. A failed fdatasync is never made
// again: the kernel may have dropped the pages and would say that all is well.
func (w *Writer) sync(target uint64) error {
	w.syncMu.Lock()
	defer w.syncMu.Unlock()
	w.mu.Lock()
	if w.synced >= target {
		w.mu.Unlock()
		return nil
	}
	if w.err != nil {
		defer w.mu.Unlock()
		return w.err
	}
	file, name, writes, seq := w.file, w.name, w.writes, w.seq.Load()
	rotated, newNames := w.rotated, w.newNames
	w.rotated, w.newNames, w.waiting = nil, false, false
	w.mu.Unlock()

	err := w.syncFiles(append(rotated, sealedFile{file, name}), newNames)
	if err != nil {
		for _, s := range rotated {
			err = errors.Join(err, s.file.Close())
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.fail(err)
	}
	w.synced = writes
	w.durable.Store(seq)
	for _, s := range rotated {
		// Its bytes are durable, so an error of close has nothing to tell.
		_ = s.file.Close()
		w.sealer.add(s.name)
	}
	return nil
}

func (w *Writer) syncFiles(files []sealedFile, newNames bool) error {
	for _, s := range files {
		if err := s.file.Sync(); err != nil {
			return fmt.Errorf("make %s durable: %w", filepath.Join(w.dir, s.name), err)
		}
	}
	if newNames {
		if err := w.fs.SyncDir(w.dir); err != nil {
			return fmt.Errorf("make the names in %s durable: %w", w.dir, err)
		}
	}
	return nil
}

// Flush makes everything appended so far durable.
func (w *Writer) Flush() error {
	w.mu.Lock()
	target, err := w.writes, w.err
	w.mu.Unlock()
	if err != nil {
		return err
	}
	return w.sync(target)
}

// Close makes everything durable, seals the last segment, waits until the sealed
// segments are compressed, and unlocks. Calling it twice is safe. When the journal
// has failed it returns that error; what was durable stays so.
func (w *Writer) Close() error {
	w.closeOnce.Do(func() { w.closeErr = w.close() })
	return w.closeErr
}

func (w *Writer) close() error {
	w.mu.Lock()
	w.closed = true
	err := w.err
	if err == nil {
		if serr := w.seal(seal{Final: true}); serr != nil {
			err = w.fail(serr)
		}
	}
	target := w.writes
	w.mu.Unlock()
	close(w.stop)
	<-w.syncDone
	if err == nil {
		err = w.sync(target)
	}
	// From here on nobody else uses the files.
	w.syncMu.Lock()
	defer w.syncMu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.rotated {
		_ = s.file.Close() // the journal has failed, and said so
	}
	w.rotated = nil
	if w.file != nil {
		if cerr := w.file.Close(); err == nil && cerr != nil {
			err = w.fail(fmt.Errorf("close %s: %w", filepath.Join(w.dir, w.name), cerr))
		}
		w.file = nil
	}
	if err == nil {
		w.sealer.add(w.name)
	}
	w.sealer.close()
	w.sum.close()
	if lerr := w.lock.Close(); err == nil && lerr != nil {
		err = fmt.Errorf("release the lock of %s: %w", w.dir, lerr)
	}
	return err
}

// CompressErr returns the last reason why a sealed segment could not be
// compressed, or nil. Such a segment stays as it is, whole and readable; Recover
// compresses it later.
func (w *Writer) CompressErr() error { return w.sealer.lastErr() }

// remedy says what a person can do about an error of the file system.
func remedy(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return "make room on the disk"
	case errors.Is(err, syscall.EIO):
		return "check the disk (dmesg, smartctl)"
	case errors.Is(err, syscall.EROFS):
		return "mount the file system for writing"
	}
	return "set that right"
}
