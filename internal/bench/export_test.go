package bench

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/export"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
	"github.com/greenwave-traffic/greenwave/internal/store/postgres"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
	table "github.com/greenwave-traffic/greenwave/record"
)

var exported = flag.Int("exported", 1_000_000, "steps of an export")

// BenchmarkExport writes guide-shaped steps to Parquet, reading included, from both
// databases, and reads the same rows without writing them.
func BenchmarkExport(b *testing.B) {
	b.Run("SQLite", func(b *testing.B) {
		db, err := sqlite.Open(filepath.Join(b.TempDir(), "bench.db"), sqlite.Options{})
		if err != nil {
			b.Fatal(err)
		}
		defer db.Close()
		benchExport(b, "SQLite", db)
	})
	b.Run("PostgreSQL", func(b *testing.B) {
		db, err := postgres.Open(b.Context(), pgtest.Start(b, pgtest.Options{}).Database(b), postgres.Options{})
		if err != nil {
			b.Fatal(err)
		}
		defer db.Close()
		benchExport(b, "PostgreSQL", db)
	})
}

func benchExport(b *testing.B, name string, db store.Store) {
	ctx, n := b.Context(), *exported
	if _, err := db.Migrate(ctx, -1); err != nil {
		b.Fatal(err)
	}
	syncRun(b, db, recordRun(b, b.TempDir(), "bench", n, 4))
	x, err := db.Experiment(ctx, "bench")
	if err != nil {
		b.Fatal(err)
	}
	var ours, reading []time.Duration
	var peak uint64
	for range 3 {
		start := time.Now()
		for _, err := range db.Rows(ctx, x.ID, table.KindStep) {
			if err != nil {
				b.Fatal(err)
			}
		}
		reading = append(reading, time.Since(start))
		took, most := exportOnce(b, ctx, db)
		ours, peak = append(ours, took), max(peak, most)
	}
	o, r := median(ours), median(reading)
	b.ReportMetric(float64(n)/o.Seconds(), "rows/s")
	record(b, figure{
		name:     fmt.Sprintf("export of %s steps from %s to Parquet", thousands(float64(n)), name),
		measured: rate(n, o),
		against:  "reading the same rows: " + rate(n, r),
		ratio:    fmt.Sprintf("%.2f", r.Seconds()/o.Seconds()), limit: "≥ 300,000/s", met: float64(n)/o.Seconds() >= 300_000,
	})
	record(b, figure{
		name:     fmt.Sprintf("memory of an export of %s steps from %s", thousands(float64(n)), name),
		measured: fmt.Sprintf("%d MB of heap", peak>>20),
		against:  "a fixed bound", ratio: fmt.Sprintf("%d MB", peak>>20), limit: "≤ 128 MB", met: peak <= 128<<20,
	})
}

// exportOnce exports, and looks at the memory in use ten times a second.
func exportOnce(b *testing.B, ctx context.Context, db store.Store) (took time.Duration, peak uint64) {
	b.Helper()
	var most atomic.Uint64
	done := make(chan struct{})
	over := make(chan struct{})
	go func() {
		defer close(over)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most.Store(max(most.Load(), m.HeapAlloc))
			}
		}
	}()
	start := time.Now()
	m, err := export.Export(ctx, db, "bench", export.Parquet, b.TempDir(), export.Options{})
	took = time.Since(start)
	close(done)
	<-over
	if err != nil {
		b.Fatal(err)
	}
	if rows := m.Files[2].Rows; rows != int64(*exported) {
		b.Fatalf("%d rows were exported", rows)
	}
	return took, most.Load()
}
