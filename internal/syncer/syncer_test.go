package syncer

import (
	"testing"

	"github.com/greenwave-traffic/greenwave/record"
)

func TestFolderIsDrainedOnce(t *testing.T) {
	db, dir := openSQLite(t), t.TempDir()
	a := startRun(t, dir, "corridor")
	a.episode(1, 300)
	a.episode(2, 300)
	a.end()
	b := startRun(t, dir, "corridor")
	b.episode(2, 300) // logged later: wins
	b.episode(3, 300)
	b.end()

	sum := syncFolder(t, db, dir)
	if got, want := sum.String(), "1,206 records: 905 stored, 301 superseded"; got[:len(want)-0] != want {
		t.Errorf("summary %q, want it to begin with %q", got, want)
	}
	if got := count(t, db, "corridor", record.KindStep); got != 900 {
		t.Errorf("%d steps, want 900", got)
	}
	if got := count(t, db, "corridor", record.KindEpisode); got != 3 {
		t.Errorf("%d episodes, want 3", got)
	}

	wantVerified(t, db, dir)
	again := syncFolder(t, db, dir)
	if again.New != 0 || again.Stored != sum.Stored || again.Superseded != sum.Superseded {
		t.Errorf("the second sync says %+v, the first %+v", again, sum)
	}
}
