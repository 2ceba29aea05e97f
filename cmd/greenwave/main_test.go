package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/greenwave-traffic/greenwave"
	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
)

var update = flag.Bool("update", false, "write docs/cli.md again")

// The scripts run the real program as processes of their own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"greenwave": main,
		"trainer":   trainingProgram,
		"forget":    forget,
		"add":       add,
		"alter":     alter,
		"trainpair": trainPair,

		"trainmodels": trainModels,
	})
}

// Every script of both/ must say the same on SQLite and on PostgreSQL.
func TestOnSQLite(t *testing.T) {
	scripts(t, "both", func(*testing.T) string { return "sqlite:test.db" })
}

func TestOnPostgreSQL(t *testing.T) {
	server := pgtest.Shared(t)
	scripts(t, "both", func(t *testing.T) string { return server.Database(t) })
}

// The scripts of alone/ need no database, or are about SQLite files.
func TestAlone(t *testing.T) { scripts(t, "alone", func(*testing.T) string { return "" }) }

func scripts(t *testing.T, dir string, database func(*testing.T) string) {
	files, err := filepath.Glob(filepath.Join("testdata", "script", dir, "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts in %s (%v)", dir, err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txtar"), func(t *testing.T) {
			t.Parallel()
			db := database(t)
			testscript.Run(t, testscript.Params{
				Files:               []string{f},
				RequireUniqueNames:  true,
				RequireExplicitExec: true,
				UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
				Setup: func(e *testscript.Env) error {
					// What is set outside must not decide which database is meant.
					for _, name := range []string{"DATABASE_URL", "PGPASSWORD", "SUPABASE_URL", "SUPABASE_HOST", "SUPABASE_PASSWORD"} {
						e.Setenv(name, "")
					}
					e.Setenv("GREENWAVE_DB", db)
					e.Setenv("DB", db)
					scenarios, err := filepath.Abs("../../scenarios")
					e.Setenv("SCENARIOS", scenarios)
					return err
				},
				Cmds: map[string]func(*testscript.TestScript, bool, []string){
					"code":   exitCode,
					"damage": damage,

					"bitflip": bitflip,
					"agekeys": ageKeys,
					"narrow":  narrow,
					"await":   await,
				},
			})
		})
	}
}

// exitCode runs "code N greenwave …" and demands that exit code.
func exitCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N command args…")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		var ee interface{ ExitCode() int }
		if !errors.As(err, &ee) {
			ts.Fatalf("%v", err)
		}
		got = fmt.Sprint(ee.ExitCode())
	}
	if got != args[0] {
		ts.Fatalf("exit code is %s, want %s", got, args[0])
	}
}

// damage runs "damage DIR OLD NEW": it replaces the first occurrence of some text in
// the segments below a folder, as a broken disk would.
func damage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: damage DIR OLD NEW")
	}
	done := false
	err := filepath.WalkDir(ts.MkAbs(args[0]), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || done {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if i := bytes.Index(data, []byte(args[1])); i >= 0 {
			done = true
			return os.WriteFile(path, bytes.Replace(data, []byte(args[1]), []byte(args[2]), 1), 0o644)
		}
		return nil
	})
	ts.Check(err)
	if !done {
		ts.Fatalf("%q is nowhere below %s", args[1], args[0])
	}
}

// narrow demands that no line of the last output is wider than 80 columns.
func narrow(ts *testscript.TestScript, neg bool, _ []string) {
	for line := range strings.SplitSeq(ts.ReadFile("stdout"), "\n") {
		if w := columns(line); w > 80 {
			ts.Fatalf("%d columns: %s", w, line)
		}
	}
}

// await runs "await PATTERN command args…" again and again until its output matches.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: await PATTERN command args…")
	}
	pattern, err := regexp.Compile(args[0])
	ts.Check(err)
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	late := time.After(time.Minute)
	for {
		err := ts.Exec(args[1], args[2:]...)
		if pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
		select {
		case <-late:
			ts.Fatalf("the output of %v never matches %s (%v)", args[1:], pattern, err)
		case <-again.C:
		}
	}
}

// trainingProgram is a training program: "trainer DIR EXPERIMENT EPISODES finish|fail|die". It
// records episodes of three steps and ends as it is told; die leaves the run open, as
// a killed process does.
func trainingProgram() {
	if err := train(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// add appends a line to a file: "add FILE LINE".
func add() {
	f, err := os.OpenFile(os.Args[1], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = f.WriteString(os.Args[2] + "\n")
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// forget deletes an experiment as somebody would in an SQL editor: "forget NAME".
func forget() {
	if err := deleteExperiment(os.Getenv("GREENWAVE_DB"), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func deleteExperiment(db, name string) error {
	return execute(db, "DELETE FROM experiments WHERE experiment_name = '"+name+"'")
}

// alter changes the database behind Greenwave's back: "alter STATEMENT".
func alter() {
	if err := execute(os.Getenv("GREENWAVE_DB"), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func execute(db, statement string) error {
	ctx := context.Background()
	if path, ok := strings.CutPrefix(db, "sqlite:"); ok {
		c, err := openSQL(path)
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.ExecContext(ctx, statement)
		return err
	}
	c, err := pgx.Connect(ctx, db)
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	_, err = c.Exec(ctx, statement)
	return err
}

func openSQL(path string) (*sql.DB, error) {
	return sql.Open("sqlite", path+"?_pragma=foreign_keys(1)")
}

func train(args []string) error {
	var episodes int
	if len(args) != 4 {
		return errors.New("usage: trainer DIR EXPERIMENT EPISODES finish|fail|die")
	}
	if _, err := fmt.Sscan(args[2], &episodes); err != nil {
		return err
	}
	run, err := greenwave.Resume(context.Background(), greenwave.Config{
		Experiment: args[1], Dir: args[0],
		Hyperparameters: map[string]any{"learning_rate": 0.0005, "seed": 7},
	})
	if err != nil {
		return err
	}
	last, _ := run.LastEpisode()
	for e := last + 1; e <= last+episodes; e++ {
		for s := range 3 {
			err := run.LogStep(greenwave.Step{
				EpisodeNumber: e, StepNumber: s, ActiveVehicles: new(40 + s), ImmediateReward: new(float64(s) / 2),
				QueueLengths: map[string]map[string]float64{"ECOLAND": {"north": 3, "south": 7}},
				StateVector:  []float32{0.15, 0, 0, 0.45},
			})
			if err != nil {
				return err
			}
		}
		err := run.LogEpisode(greenwave.Episode{
			EpisodeNumber: e, TotalReward: float64(e) * 10, StepsCompleted: new(3), AvgWaitingTime: new(20 - float64(e)),
			BusesProcessed: new(e), JeepneysProcessed: new(2 * e), PTPassengerThroughput: new(890.5),
			Extra: greenwave.Extra{"weather": "rain"},
		})
		if err != nil {
			return err
		}
	}
	fmt.Println(run.Dir())
	switch args[3] {
	case "finish":
		return run.Finish()
	case "fail":
		return run.Fail(errors.New("loss is NaN"))
	case "die":
		os.Exit(0)
	}
	return fmt.Errorf("unknown end %q", args[3])
}
