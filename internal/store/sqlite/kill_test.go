package sqlite_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
	"github.com/greenwave-traffic/greenwave/record"
)

// children are what the test binary does when a test starts it again.
var children = map[string]func(args []string) error{
	"apply":    applyUntilKilled,
	"fileSize": applyWithoutRoom,
}

func TestMain(m *testing.M) {
	if name := os.Getenv("GREENWAVE_TEST_CHILD"); name != "" {
		if err := children[name](os.Args[1:]); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func child(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Env = append(os.Environ(), "GREENWAVE_TEST_CHILD="+name)
	return cmd
}

const killedRecords = 80_000

// nth is record n of a run: four steps, then the episode that they belong to; now
// and then a checkpoint.
func nth(n uint64) store.Entry {
	text, kind := fmt.Sprintf(`{"episode_number":%d,"step_number":%d,"immediate_reward":%d,"state_vector":[1,0,0,%d]}`, n/5, n%5, n, n), record.KindStep
	switch {
	case n%5 == 0:
		text, kind = fmt.Sprintf(`{"episode_number":%d,"total_reward":%d}`, n/5, n), record.KindEpisode
	case n%51 == 0:
		text, kind = fmt.Sprintf(`{"checkpoint_type":"regular","model_path":"%d.bin"}`, n), record.KindCheckpoint
	}
	row, err := record.Parse(kind, []byte(text), nil)
	if err != nil {
		panic(err)
	}
	return store.Entry{Seq: n, Time: time.Unix(1_700_000_000, int64(n)*1000), Row: row}
}

// applyUntilKilled goes on with a run from its cursor, prints each acknowledgement,
// and ends when all is applied.
func applyUntilKilled(args []string) error {
	ctx := context.Background()
	s, err := sqlite.Open(args[0], sqlite.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	if _, err := s.Migrate(ctx, -1); err != nil {
		return err
	}
	state, err := s.Register(ctx, store.Run{ID: args[1], Experiment: "killed", Source: "journal"}, false)
	if err != nil {
		return err
	}
	for state.Cursor < killedRecords {
		b := store.Batch{RunID: state.RunID, ExperimentID: state.ExperimentID, From: state.Cursor, To: min(killedRecords, state.Cursor+1+rand.Uint64N(200))}
		for n := b.From + 1; n <= b.To; n++ {
			if n%97 == 0 {
				b.Dead = append(b.Dead, store.DeadLetter{RunID: b.RunID, Seq: n, Reason: "every 97th"})
				continue
			}
			e := nth(n)
			if args[2] == "shifted" {
				// Another run logs its own episodes into the same experiment.
				if e.Row.Schema.Key > 0 {
					e.Row.Values[0] = record.IntValue(e.Row.Values[0].Int() + killedRecords)
				}
			}
			b.Entries = append(b.Entries, e)
		}
		res, err := s.Apply(ctx, b)
		if err != nil {
			return err
		}
		if res.Repeated > 0 || res.Superseded > 0 {
			return fmt.Errorf("batch %d to %d: %+v: something was there already", b.From, b.To, res)
		}
		state.Cursor = b.To
		fmt.Println("ack", b.To)
	}
	return nil
}

// TestKilled: two processes that sync to one file are killed hundreds of times.
// What was acknowledged is there, and in the end every record is there once.
func TestKilled(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "killed.db")
	runs := []string{uuid.NewString(), uuid.NewString()}
	modes := []string{"plain", "shifted"}
	acked := make([]uint64, len(runs))
	kills := 0
	for round := range 105 {
		cmds, outs := make([]*exec.Cmd, len(runs)), make([]output, len(runs))
		said := make(chan struct{}, 1)
		for i := range runs {
			outs[i].said = said
			cmds[i] = child(t, "apply", path, runs[i], modes[i])
			cmds[i].Stdout, cmds[i].Stderr = &outs[i], &outs[i]
			if err := cmds[i].Start(); err != nil {
				t.Fatal(err)
			}
		}
		// The first rounds die anywhere, in migration and registration too; the
		// others while they apply.
		if round >= 10 {
			select {
			case <-said:
			case <-time.After(10 * time.Second):
				t.Fatalf("round %d: no process says anything", round)
			}
		}
		time.Sleep(time.Duration(rand.IntN(40_000)) * time.Microsecond)
		for i, cmd := range cmds {
			_ = cmd.Process.Kill()
			err := cmd.Wait()
			var exit *exec.ExitError
			if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signaled() {
				kills++
			} else if err != nil {
				t.Fatalf("round %d: %v: %s", round, err, outs[i].String())
			}
			acked[i] = max(acked[i], lastAck(t, outs[i].String()))
		}
		checkAcked(t, path, runs, acked)
	}
	t.Logf("%d processes were killed; acknowledged up to %v of %d", kills, acked, killedRecords)
	if kills < 200 {
		t.Errorf("only %d processes were killed: there were too few records", kills)
	}
	if acked[0] == 0 || acked[1] == 0 {
		t.Errorf("acknowledged %v: the processes were killed before they did anything", acked)
	}
	for i := range runs {
		if out, err := child(t, "apply", path, runs[i], modes[i]).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	checkOnce(t, path, runs)
}

// output keeps what a process says and signals that it said something.
type output struct {
	text bytes.Buffer
	said chan<- struct{}
}

func (o *output) String() string { return o.text.String() }

func (o *output) Write(p []byte) (int, error) {
	select {
	case o.said <- struct{}{}:
	default:
	}
	return o.text.Write(p)
}

func lastAck(t *testing.T, out string) (last uint64) {
	t.Helper()
	for scanner := bufio.NewScanner(strings.NewReader(out)); scanner.Scan(); {
		if strings.HasPrefix(scanner.Text(), "error") {
			t.Fatal(scanner.Text())
		}
		_, _ = fmt.Sscanf(scanner.Text(), "ack %d", &last)
	}
	return last
}

func checkAcked(t *testing.T, path string, runs []string, acked []uint64) {
	t.Helper()
	s := open(t, path)
	defer s.Close()
	states, err := s.States(t.Context(), runs)
	if err != nil && !errors.Is(err, store.ErrSchema) && !errors.Is(err, store.ErrAuth) {
		t.Fatal(err)
	}
	for i, run := range runs {
		if states[run].Cursor < acked[i] {
			t.Fatalf("run %d: the cursor is %d, but %d was acknowledged", i, states[run].Cursor, acked[i])
		}
	}
}

func checkOnce(t *testing.T, path string, runs []string) {
	t.Helper()
	var dead, episodes, checkpoints, steps int64
	for n := uint64(1); n <= killedRecords; n++ {
		switch {
		case n%97 == 0:
			dead++
		case n%5 == 0:
			episodes++
		case n%51 == 0:
			checkpoints++
		default:
			steps++
		}
	}
	s := open(t, path)
	e, err := s.Experiment(t.Context(), "killed")
	if err != nil {
		t.Fatal(err)
	}
	if e.TotalEpisodes != 2*episodes || e.Steps != 2*steps {
		t.Errorf("there are %d episodes and %d steps, want %d and %d", e.TotalEpisodes, e.Steps, 2*episodes, 2*steps)
	}
	for _, run := range e.Runs {
		if run.Cursor != killedRecords || int64(run.Dead) != dead || run.Superseded != 0 {
			t.Errorf("run is %+v, want cursor %d, dead %d", run, killedRecords, dead)
		}
		for kind, want := range map[record.Kind]int64{record.KindEpisode: episodes, record.KindStep: steps, record.KindCheckpoint: checkpoints} {
			if n, err := s.CountRows(t.Context(), e.ID, run.RunID, kind); err != nil || n != want {
				t.Errorf("run %s has %d rows of %s, %v; want %d", run.RunID, n, kind, err, want)
			}
		}
	}
	letters := int64(0)
	for _, err := range s.DeadLetters(t.Context(), runs) {
		if err != nil {
			t.Fatal(err)
		}
		letters++
	}
	if letters != 2*dead {
		t.Errorf("there are %d dead letters, want %d", letters, 2*dead)
	}
	var verdict string
	if err := byHand(t, path).QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity check: %s, %v", verdict, err)
	}
}
