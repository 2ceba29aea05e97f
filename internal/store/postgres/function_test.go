package postgres_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
)

func TestInsertTrainingEpisode(t *testing.T) {
	url := pgtest.Database(t)
	migrated(t, url)
	conn := connect(t, url)
	insert := func(episode string) error {
		_, err := conn.Exec(t.Context(), `SELECT insert_training_episode('by hand', $1::jsonb)`, episode)
		return err
	}
	if err := insert(`{"episode_number": 1, "total_reward": 10, "colour": "red", "extra": {"shape": "round"}, "avg_loss": "NaN", "avg_speed": null, "timestamp": "2026-01-02T03:04:05Z"}`); err != nil {
		t.Fatal(err)
	}
	got := value[string](t, conn, `SELECT concat_ws('|', total_reward, avg_loss, avg_speed, extra, timestamp AT TIME ZONE 'UTC') FROM training_episodes`)
	if want := `10|{"shape": "round", "colour": "red", "non_finite": ["avg_loss"]}|2026-01-02 03:04:05`; got != want {
		t.Errorf("stored %s, want %s", got, want)
	}
	if err := insert(`{"episode_number": 1, "total_reward": 7}`); err != nil {
		t.Fatal(err)
	}
	if got := value[string](t, conn, `SELECT concat_ws('|', t.total_reward, t.extra, e.total_episodes, e.best_reward) FROM training_episodes t JOIN experiments e ON e.id = t.experiment_id`); got != "7|1|7" {
		t.Errorf("after the second call %s", got)
	}
	for episode, rule := range map[string]string{
		`[]`:                      "must be an object",
		`{"total_reward":1}`:      "episode_number is missing",
		`{"episode_number": "1"}`: "must be a number",
		`{"episode_number": 2, "total_reward": "12.5"}`: "must be a number",
	} {
		if err := insert(episode); err == nil || !strings.Contains(err.Error(), rule) {
			t.Errorf("%s: %v, want %q", episode, err, rule)
		}
	}
}

// TestArchive archives whole experiments and nothing else.
func TestArchive(t *testing.T) {
	url := pgtest.Database(t)
	s := migrated(t, url)
	conn := connect(t, url)
	execute(t, conn, `INSERT INTO experiments (experiment_name, status, created_at, completed_at) VALUES
		('old', 'completed', now() - interval '300 days', now() - interval '200 days'),
		('old but running', 'running', now() - interval '300 days', NULL),
		('old but paused', 'paused', now() - interval '300 days', NULL),
		('finished lately', 'completed', now() - interval '300 days', now() - interval '2 days'),
		('late episode', 'failed', now() - interval '300 days', now() - interval '200 days')`)
	execute(t, conn, `INSERT INTO training_episodes (experiment_id, episode_number, total_reward, timestamp)
		SELECT id, n, n, now() - CASE WHEN experiment_name = 'late episode' THEN interval '1 day' ELSE interval '250 days' END FROM experiments, generate_series(1, 5) n`)
	execute(t, conn, `INSERT INTO training_steps (experiment_id, episode_number, step_number, real_timestamp)
		SELECT id, 1, n, now() - interval '250 days' FROM experiments, generate_series(1, 7) n`)
	execute(t, conn, `INSERT INTO model_checkpoints (experiment_id, checkpoint_type, model_path) SELECT id, 'final', 'm.pt' FROM experiments`)
	run := register(t, s, "old")
	execute(t, conn, `UPDATE experiments SET status = 'completed', completed_at = now() - interval '200 days' WHERE experiment_name = 'old'`)
	execute(t, conn, `UPDATE training_runs SET started_at = now() - interval '300 days'`)

	if n := value[int](t, conn, `SELECT archive_old_experiments()`); n != 1 {
		t.Errorf("archived %d experiments, want 1", n)
	}
	left := names(t, conn, `SELECT experiment_name FROM experiments ORDER BY 1`)
	if got := strings.Join(left, ", "); got != "finished lately, late episode, old but paused, old but running" {
		t.Errorf("left are %s", got)
	}
	for table, want := range map[string]int{
		"experiments_archive": 1, "training_episodes_archive": 5, "training_steps_archive": 7, "model_checkpoints_archive": 1,
		"training_episodes": 20, "training_steps": 28, "model_checkpoints": 4,
	} {
		if n := value[int](t, conn, "SELECT count(*) FROM "+table); n != want {
			t.Errorf("%s has %d rows, want %d", table, n, want)
		}
	}
	recount(t, conn)
	if _, err := s.Apply(t.Context(), steps(t, run, 0, 1)); err == nil || !strings.Contains(err.Error(), "was deleted") {
		t.Errorf("a sync of the archived experiment: %v", err)
	}
	if _, err := conn.Exec(t.Context(), `SELECT archive_old_experiments(-1)`); err == nil {
		t.Error("negative days were taken")
	}
}

// Steps leave by whole episodes: one step that is younger, or has no time, keeps all of
// its episode.
func TestCleanup(t *testing.T) {
	url := pgtest.Database(t)
	migrated(t, url)
	conn := connect(t, url)
	execute(t, conn, `INSERT INTO experiments (experiment_name, status) VALUES ('done', 'completed'), ('running', 'running')`)
	execute(t, conn, `INSERT INTO training_episodes (experiment_id, episode_number, timestamp) SELECT id, n, now() - interval '99 days' FROM experiments, generate_series(1, 6) n`)
	// Episode n ended n * 10 days ago; its first step was 25 days before.
	execute(t, conn, `INSERT INTO training_steps (experiment_id, episode_number, step_number, real_timestamp)
		SELECT id, n, k, now() - interval '10 days' * n - interval '5 days' * (5 - k) FROM experiments, generate_series(1, 6) n, generate_series(0, 5) k`)
	execute(t, conn, `INSERT INTO training_steps (experiment_id, episode_number, step_number) SELECT id, 6, 6 FROM experiments`)
	left := func() string {
		return strings.Join(names(t, conn, `SELECT format('%s: %s', episode_number, count(*)) FROM training_steps JOIN experiments e ON e.id = experiment_id
			WHERE e.status = 'completed' GROUP BY episode_number ORDER BY episode_number`), ", ")
	}
	if n := value[int](t, conn, `SELECT cleanup_old_steps()`); n != 18 {
		t.Errorf("deleted %d steps, want all of the episodes 3 to 5", n)
	}
	if got := left(); got != "1: 6, 2: 6, 6: 7" {
		t.Errorf("steps of the episodes that are left: %s", got)
	}
	if n := value[int](t, conn, `SELECT cleanup_old_steps(days => 15)`); n != 6 {
		t.Errorf("deleted %d more steps, want those of episode 2", n)
	}
	if n := value[int](t, conn, `SELECT count(*) FROM training_steps`); n != 13+37 {
		t.Errorf("%d steps are left, want 13 and those of the experiment that runs", n)
	}
	if n := value[int](t, conn, `SELECT count(*) FROM training_episodes`); n != 12 {
		t.Errorf("%d episodes are left", n)
	}
	recount(t, conn)
	if _, err := conn.Exec(t.Context(), `SELECT cleanup_old_steps(-1)`); err == nil {
		t.Error("negative days were taken")
	}
}

func names(t testing.TB, conn *pgx.Conn, sql string) []string {
	t.Helper()
	rows, err := conn.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return all
}
