package doctor_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/doctor"
	"github.com/greenwave-traffic/greenwave/internal/journal"
	"github.com/greenwave-traffic/greenwave/record"
)

func TestSimulator(t *testing.T) {
	program := filepath.Join(t.TempDir(), "sumo")
	for text, want := range map[string]doctor.Status{
		"echo 'Eclipse SUMO sumo Version 1.20.0'": doctor.OK,
		"echo 'Eclipse SUMO sumo Version 1.4.0'":  doctor.Warning,
		"echo 'SUMO sumo Version 0.32.0'":         doctor.Failed,
		"echo 'something else'":                   doctor.Failed,
		"exit 1":                                  doctor.Failed,
	} {
		if err := os.WriteFile(program, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		p := &patient{T: t, Subject: &doctor.Subject{Sumo: program}}
		p.is(p.check("simulator"), want)
	}
	p := &patient{T: t, Subject: &doctor.Subject{Sumo: "/nowhere/sumo"}}
	p.is(p.check("simulator"), doctor.Warning, "not installed")
}

// room is a machine with so much of everything.
func room(diskFree, memoryUsed float64) func(context.Context, string) record.Resource {
	return func(context.Context, string) record.Resource {
		return record.Resource{DiskFreeMB: new(diskFree), DiskTotalMB: new(1e6), HostMemoryUsedMB: new(memoryUsed), HostMemoryTotalMB: new(1000.0), HostCPUPercent: new(50.0)}
	}
}

func TestJournal(t *testing.T) {
	p := onSQLite(t)
	p.is(p.check("journal"), doctor.OK, "free", "no run here")
	p.Host = room(100, 1)
	p.is(p.check("journal"), doctor.Failed, "100.0 MB free")
	p.Host = room(1000, 1)
	p.is(p.check("journal"), doctor.Warning)
	p.Host = nil
	p.Dir = filepath.Join(t.TempDir(), "not", "there")
	p.mends("journal", doctor.Failed, "mkdir")
	p.Dir = filepath.Join(p.Dir, "file")
	if err := os.WriteFile(p.Dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p.is(p.check("journal"), doctor.Failed, "is a file")
}

// How long the room lasts is told from what the runs have written so far.
func TestJournalFills(t *testing.T) {
	p := onSQLite(t)
	w := p.run("a", 1, false)
	for until := time.Now().Add(1100 * time.Millisecond); time.Now().Before(until); { // a second of recording
		p.log(w, "episode", `{"episode_number":2,"scenario_info":{"note":"`+fmt.Sprintf("%05000d", 0)+`"}}`)
	}
	info, err := journal.Stat(w.Dir())
	if err != nil {
		t.Fatal(err)
	}
	megabytesAnHour := float64(info.Bytes) / info.LastTime.Sub(info.Header.StartedAt).Seconds() * 3600 / 1e6
	for hours, want := range map[float64]doctor.Status{0.5: doctor.Failed, 12.5: doctor.Warning, 100.5: doctor.OK} {
		p.Host = room(max(2100, hours*megabytesAnHour), 1)
		if hours*megabytesAnHour > 2100 {
			p.is(p.check("journal"), want, "the run that is being written", "enough for")
		}
	}
}

func TestResources(t *testing.T) {
	p := onSQLite(t)
	p.is(p.check("resources"), doctor.OK, "CPU", "memory", "no run is live")
	p.Host = room(1e5, 950)
	p.is(p.check("resources"), doctor.Warning)
	p.Host = room(1e5, 990)
	p.is(p.check("resources"), doctor.Failed, "990.0 MB of 1.00 GB")
	onBoth(t, func(p *patient) {
		p.Host = room(1e5, 100)
		id, run := uuid.NewString(), uuid.NewString()
		at := func(d time.Duration) string { return time.Now().UTC().Add(-d).Format("2006-01-02T15:04:05.000000Z") }
		p.do(`INSERT INTO experiments (id, experiment_name) VALUES ('`+id+`', 'a')`,
			fmt.Sprintf(`INSERT INTO training_runs (id, experiment_id, experiment_name, source, started_at, last_heartbeat, updated_at) VALUES ('%s', '%s', 'a', 'journal', '%s', '%s', '%[3]s')`, run, id, at(time.Hour), at(5*time.Second)),
			fmt.Sprintf(`INSERT INTO run_resources (experiment_id, run_id, host_cpu_percent, logged_at) VALUES ('%s', '%s', 1, '%s')`, id, run, at(10*time.Minute)))
		p.is(p.check("resources"), doctor.Warning, "recorded nothing of what they use", "a")
		p.do(fmt.Sprintf(`INSERT INTO run_resources (experiment_id, run_id, host_cpu_percent, logged_at) VALUES ('%s', '%s', 1, '%s')`, id, run, at(time.Second)))
		p.is(p.check("resources"), doctor.OK, "1 of 1 live run")
	})
}
