package storetest

import (
	"encoding/json"
	"time"

	"github.com/greenwave-traffic/greenwave/record"
)

func testQuery(b *bench) {
	run := b.begin("query")
	b.log(run, parse(record.KindStep, `{"episode_number":1,"step_number":2,"queue_lengths":{"A":{"n":1}},"immediate_reward":2.5,"state_vector":[1,0],
		"real_timestamp":"2026-03-01T08:00:00.123456Z"}`))
	have, rows := b.query(`SELECT episode_number, immediate_reward, queue_lengths, state_vector, real_timestamp, action_taken, 'ü' AS word, run_id AS "a run" FROM training_steps`)
	equal(b, "columns", len(have), 8)
	equal(b, "last column", have[7], "a run")
	row := rows[0]
	equal(b, "an integer", row[0], any(int64(1)))
	equal(b, "a number", row[1], any(2.5))
	if data, ok := row[2].(json.RawMessage); !ok || !sameJSON(data, []byte(`{"A":{"n":1}}`)) {
		b.Errorf("JSON is %T %s", row[2], row[2])
	}
	if at, ok := row[4].(time.Time); !ok || !at.Equal(start) {
		b.Errorf("a time is %T %v, want %v", row[4], row[4], start)
	}
	equal(b, "null", row[5], nil)
	equal(b, "text", row[6], any("ü"))
	equal(b, "a UUID", row[7], any(run.RunID))

	have, rows = b.query(`SELECT 1 AS x FROM experiments WHERE experiment_name = 'nobody'`)
	if len(have) != 1 || len(rows) != 0 {
		b.Errorf("an empty answer has the columns %v and the rows %v", have, rows)
	}
	b.query("-- a comment; with a semicolon\nSELECT ';' /* ; */ ;\n -- done\n")
	for _, wrong := range []string{`SELEC 1`, `SELECT * FROM nowhere`, ``} {
		if table, err := b.s.Query(b.ctx, wrong); err == nil {
			for _, err = range table.Rows {
				if err != nil {
					break
				}
			}
			if err == nil && wrong != "" {
				b.Errorf("%q: no error", wrong)
			}
		}
	}
	// Many answers that are not read to the end do not use up the connections.
	for range 50 {
		table, err := b.s.Query(b.ctx, `SELECT experiment_name FROM experiments UNION ALL SELECT 'x' UNION ALL SELECT 'y'`)
		if err != nil {
			b.Fatalf("Query: %v", err)
		}
		for range table.Rows {
			break
		}
	}
}

func testQueryIsReadOnly(b *bench) {
	run := b.begin("kept")
	b.log(run, episode(1, 1))
	for _, statement := range []string{
		`INSERT INTO experiments (experiment_name) VALUES ('new')`,
		`UPDATE experiments SET experiment_name = 'new'`,
		`DELETE FROM experiments`,
		`DROP TABLE training_steps`,
		`CREATE TABLE mine (a INTEGER)`,
		`CREATE TEMP TABLE mine (a INTEGER)`,
		`SELECT 1; DELETE FROM experiments`,
		`WITH gone AS (SELECT 1) DELETE FROM experiments`,
		`DELETE FROM experiments RETURNING id`,
		`COMMIT`,
	} {
		table, err := b.s.Query(b.ctx, statement)
		if err == nil {
			for _, err = range table.Rows {
				if err != nil {
					break
				}
			}
		}
		if err == nil {
			b.Errorf("%s: no error", statement)
		}
	}
	equal(b, "episodes", b.experiment("kept").TotalEpisodes, 1)
	equal(b, "experiments", b.one(`SELECT count(*) FROM experiments`), any(int64(1)))
	b.log(run, episode(2, 1))
}
