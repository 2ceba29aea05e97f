package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/journal"
	"github.com/greenwave-traffic/greenwave/internal/sumo"
	"github.com/greenwave-traffic/greenwave/internal/traci"
	"github.com/greenwave-traffic/greenwave/internal/words"
	"github.com/greenwave-traffic/greenwave/record"
)

// tested is the version of SUMO that the tests and the published figures have.
const tested = "1.15"

func simulator(ctx context.Context, s *Subject) Finding {
	program := s.Sumo
	if program == "" {
		program = "sumo"
	}
	looked := program + " --version"
	version, err := sumo.Version(ctx, program)
	if errors.Is(err, traci.ErrNoProgram) {
		return warning(looked, "SUMO is not installed here", "apt-get install sumo, or give its program with --sumo; to record what another program simulates, none is needed (--skip simulator)")
	}
	if err != nil {
		return failed(looked, oneLine(err.Error()), "install SUMO "+tested+" or newer, or give its program with --sumo")
	}
	if older(version, tested) {
		return warning(looked, "SUMO "+version+", older than "+tested+", which the tests have", "install SUMO "+tested+" or newer; compare no results across versions")
	}
	return ok(looked, "SUMO "+version)
}

// older compares versions part by part.
func older(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		x, errX := strconv.Atoi(as[i])
		y, errY := strconv.Atoi(bs[i])
		if errX != nil || errY != nil || x != y {
			return errX == nil && errY == nil && x < y
		}
	}
	return false
}

// Limits of the room for the journal.
const (
	roomFails = 200e6 // bytes
	roomWarns = 2e9
	timeFails = time.Hour
	timeWarns = 24 * time.Hour
)

// journalRoom looks whether the disk of the runs takes writes, and for how long; of
// several folders the worst counts.
func journalRoom(ctx context.Context, s *Subject) Finding {
	switch {
	case s.Dir == "" && s.OnServer:
		return notChecked("no folder of runs", "this server follows no folder: the journals are where the trainers are", "greenwave doctor --only journal on the trainer's machine, or greenwave serve --watch DIR")
	case s.Dir == "":
		return notChecked("no folder of runs", "no folder was named, and there is no runs here", "give it with --dir DIR")
	}
	order := []Status{OK, NotChecked, Warning, Failed}
	worst := roomOf(ctx, s, s.Dir)
	for _, dir := range s.Further {
		f := roomOf(ctx, s, dir)
		if slices.Index(order, f.Status) > slices.Index(order, worst.Status) {
			f, worst = worst, f
		}
		worst.Details = append(worst.Details, f.LookedAt+": "+f.Status.String()+", "+f.Found)
	}
	return worst
}

func roomOf(ctx context.Context, s *Subject, dir string) Finding {
	looked := "the folder " + dir + " and its disk"
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return failed(looked, "there is no folder "+dir, "mkdir "+dir+", on a disk of this machine").fixable()
	case err != nil:
		return failed(looked, oneLine(err.Error()), "give another folder with --dir")
	case !info.IsDir():
		return failed(looked, dir+" is a file", "give a folder with --dir")
	}
	took, err := writeOnce(dir)
	if err != nil {
		return failed(looked, "it takes no writes: "+oneLine(err.Error()), "make room on the disk, or change the rights of the folder")
	}
	details := []string{"a small file is on the disk " + brief(took) + " after it was written"}
	r := s.Host(ctx, dir)
	if r.DiskFreeMB == nil {
		return notChecked(looked, "the system does not say how much room there is", "", details...)
	}
	free := *r.DiskFreeMB * 1e6
	runs, faults := journal.Find(dir)
	for _, err := range faults {
		details = append(details, oneLine(err.Error()))
	}
	rate, of := growth(runs)
	found := words.Size(int64(free)) + " free"
	left := time.Duration(0)
	if rate > 0 {
		left = time.Duration(min(free/rate, 1e9) * float64(time.Second))
		found += fmt.Sprintf(", enough for %s at %s an hour, as measured of %s", words.Duration(left), words.Size(int64(rate*3600)), of)
	} else {
		found += "; no run here is long enough to measure how fast it fills"
	}
	const mend = "make room, or record to another disk: runs that are synced and verified may be moved away"
	switch {
	case free < roomFails || rate > 0 && left < timeFails:
		return failed(looked, found, mend, details...)
	case free < roomWarns || rate > 0 && left < timeWarns:
		return warning(looked, found, mend, details...)
	case len(faults) > 0:
		return warning(looked, found+"; "+words.Of(len(faults), "folder")+" in it cannot be read", "greenwave inspect shows what a run holds", details...)
	}
	return ok(looked, found, details...)
}

// growth is how many bytes a second the journals grow by: of those that are written
// now together, else of the last run, over its whole time.
func growth(runs []journal.Info) (rate float64, of string) {
	live, last := 0, 0.0
	for _, r := range runs {
		took := r.LastTime.Sub(r.Header.StartedAt).Seconds()
		if took < 1 {
			continue
		}
		last = float64(r.Bytes) / took
		if r.Live {
			live++
			rate += last
		}
	}
	if live > 0 {
		if live == 1 {
			return rate, "the run that is being written"
		}
		return rate, words.Of(live, "run") + " that are being written"
	}
	return last, "the last run"
}

// writeOnce writes a small file through to the disk and removes it.
func writeOnce(dir string) (time.Duration, error) {
	f, err := os.CreateTemp(dir, ".greenwave-doctor-*")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	began := time.Now()
	_, err = f.Write(make([]byte, 64<<10))
	if err == nil {
		err = f.Sync()
	}
	took := time.Since(began)
	return took, errors.Join(err, f.Close())
}

func makeFolder(_ context.Context, s *Subject) (string, error) {
	var made []string
	for _, dir := range append([]string{s.Dir}, s.Further...) {
		if fileExists(dir) {
			continue
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", err
		}
		made = append(made, filepath.Clean(dir))
	}
	return "made " + strings.Join(made, ", "), nil
}

// Limits of a machine on which a training runs.
const (
	memoryFails = 0.03 // share that is available
	memoryWarns = 0.10
	// samplesStop is after how long without a sample a live run is taken to measure
	// nothing; it samples every 10 s.
	samplesStop = time.Minute
)

// hostResources looks at the machine, and whether the runs that are being written record
// what they use.
func hostResources(ctx context.Context, s *Subject) Finding {
	dir := s.Dir
	if !fileExists(dir) {
		dir = "."
	}
	r := s.Host(ctx, dir)
	looked := "CPU, memory and GPUs of this machine, and run_resources in the database"
	found, details := describeHost(r)
	silent, live, err := s.samples(ctx)
	switch {
	case err != nil:
		details = append(details, "whether runs record what they use was not checked: "+oneLine(err.Error()))
	case live == 0:
		details = append(details, "no run is live, so none records what it uses now")
	default:
		details = append(details, fmt.Sprintf("%d of %s record what they use", live-len(silent), words.Of(live, "live run")))
	}
	const relief = "run fewer trainings here, or a smaller batch and replay memory"
	if r.HostMemoryTotalMB != nil && r.HostMemoryUsedMB != nil && *r.HostMemoryTotalMB > 0 {
		switch left := 1 - *r.HostMemoryUsedMB / *r.HostMemoryTotalMB; {
		case left < memoryFails:
			return failed(looked, found, relief, details...)
		case left < memoryWarns:
			return warning(looked, found, relief, details...)
		}
	}
	switch {
	case len(silent) > 0:
		return warning(looked, "runs that are live and have recorded nothing of what they use for a minute: "+strings.Join(silent, ", "),
			"Config.ResourcesEvery turns it on; a disk or a driver that does not answer stops it", details...)
	case r.HostMemoryTotalMB == nil || r.HostCPUPercent == nil:
		return notChecked(looked, "the system does not say what is in use", "", details...)
	}
	return ok(looked, found, details...)
}

func describeHost(r record.Resource) (string, []string) {
	var parts, details []string
	if r.HostCPUPercent != nil {
		parts = append(parts, fmt.Sprintf("CPU %.0f %% in use", *r.HostCPUPercent))
	}
	if r.HostMemoryTotalMB != nil && r.HostMemoryUsedMB != nil {
		parts = append(parts, fmt.Sprintf("memory %s of %s in use", words.Size(int64(*r.HostMemoryUsedMB*1e6)), words.Size(int64(*r.HostMemoryTotalMB*1e6))))
	}
	gpus, _ := r.GPUs.([]any)
	for _, g := range gpus {
		gpu, _ := g.(map[string]any)
		line := fmt.Sprintf("GPU %v: %v", gpu["index"], gpu["name"])
		if u, ok := gpu["utilization_percent"].(float64); ok {
			line += fmt.Sprintf(", %.0f %% in use", u)
		}
		details = append(details, line)
	}
	if len(gpus) > 0 {
		parts = append(parts, words.Of(len(gpus), "GPU"))
	} else {
		parts = append(parts, "no GPU that nvidia-smi knows")
	}
	return strings.Join(parts, "; "), details
}

// samples counts the runs that are live by the database, and names those that have
// recorded nothing of what they use for a while.
func (s *Subject) samples(ctx context.Context) (silent []string, live int, err error) {
	db, no := s.reader(ctx)
	if no != nil {
		return nil, 0, errors.New(no.Found)
	}
	since := s.Now().UTC().Add(-samplesStop).Format("2006-01-02T15:04:05.000000Z")
	err = rows(ctx, db, `SELECT r.experiment_name, (SELECT count(*) FROM run_resources u WHERE u.experiment_id = r.experiment_id AND u.run_id = r.id AND u.logged_at > '`+since+`')
		FROM training_runs r WHERE r.status = 'running' AND r.source <> 'import' AND r.started_at < '`+since+`' AND r.last_heartbeat > '`+since+`' ORDER BY 1`, func(row []any) {
		live++
		if n, _ := number(row[1]); n == 0 {
			silent = append(silent, text(row[0]))
		}
	})
	return silent, live, err
}
