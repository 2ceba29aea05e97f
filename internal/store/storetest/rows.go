package storetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// specimens are records that use every column, leave out all that may be left out,
// and hold what databases like to change.
func specimens() []record.Row {
	sparse := make([]string, 600)
	for i := range sparse {
		sparse[i] = "0"
		if i%3 == 0 {
			sparse[i] = fmt.Sprintf("%v", float32(i)/7)
		}
	}
	return []record.Row{
		parse(record.KindEpisode, `{"episode_number":0,"total_reward":-0.0}`),
		parse(record.KindEpisode, `{"episode_number":2147483647,"scenario_info":{"day":"20250708","cycle":1,"intersections":["ECOLAND","JOHNPAUL","SANDAWA"]},
			"total_reward":164.67,"steps_completed":300,"epsilon_value":0.885,"avg_loss":5e-324,"memory_size":9223372036854775807,"total_vehicles":219,
			"completed_trips":398,"passenger_throughput":6512.73,"avg_waiting_time":17.18,"avg_speed":18.51,"avg_queue_length":90.03,"max_queue_length":135,
			"travel_time_index":2.16,"buses_processed":45,"jeepneys_processed":67,"pt_passenger_throughput":890.5,"pt_avg_waiting":12.3,
			"pt_service_efficiency":0.87,"reward_components":{"waiting_penalty":-15.2,"n":12345678901234567890,"x":1e-7},"episode_duration_minutes":1.13,
			"timestamp":"2026-03-01T08:00:00.123456+08:00","unknown":{"deep":[1,2.50,null,"ü"]},"seed":7}`),
		parse(record.KindEpisode, `{"episode_number":1,"total_reward":"NaN","avg_loss":"Infinity","avg_speed":1.7976931348623157e308,"reward_components":{"a":"NaN"}}`),
		parse(record.KindEpisode, `{"episode_number":3,"total_reward":0.1,"timestamp":"1970-01-01T00:00:00Z"}`),
		parse(record.KindEpisode, `{"episode_number":4,"total_reward":0.30000000000000004,"timestamp":"2099-12-31T23:59:59.999999Z"}`),
		step(1, 60),
		parse(record.KindStep, `{"episode_number":1,"step_number":0}`),
		parse(record.KindStep, `{"episode_number":1,"step_number":1,"state_vector":[]}`),
		parse(record.KindStep, `{"episode_number":1,"step_number":2,"state_vector":[null,0,-0.0,1e-45,3.4028235e38,"NaN"],"action_taken":-9223372036854775808}`),
		parse(record.KindStep, `{"episode_number":1,"step_number":3,"state_vector":[%s],"intersection_metrics":{"路口":{"q":"a\"b\\c\/d\né🚦"}}}`, strings.Join(sparse, ",")),
		parse(record.KindStep, `{"episode_number":1,"step_number":4,"waiting_times":{},"speeds":{"A":1.0,"B":1e2},"agent":"a'b; --"}`),
		parse(record.KindCheckpoint, `{"episode_number":10,"checkpoint_type":"final","model_path":"models/ü 1.bin","model_size_mb":1.5,
			"model_hash":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","validation_reward":-1.25,"validation_metrics":{"a":[]},
			"hyperparameters":{"lr":0.001},"training_time_minutes":12.5,"vs_baseline_improvement":14.2,"created_at":"2026-03-01T09:00:00Z","x":1}`),
		checkpoint(),
		parse(record.KindValidation, `{"checkpoint_id":"018F5B2E-7C1A-7D3E-9B1F-0123456789AB","validation_episode":25,"test_scenario":{"day":"x"},"total_reward":-3.5,
			"traffic_metrics":{"w":1},"comparison_metrics":{"d":-2},"confidence_interval":[0.95,[1,2]],"statistical_significance":0.031,"timestamp":"2026-03-01T09:00:00Z"}`),
		parse(record.KindValidation, `{"confidence_interval":"95 %%","statistical_significance":true}`),
		parse(record.KindBaseline, `{"baseline_type":"webster","test_scenarios":["a","b"],"d3qn_metrics":{"w":1},"baseline_metrics":{"w":2},
			"improvement_percentages":{"w":50},"statistical_tests":{"w":{"method":"t","p":0.01}},"significance_results":{"w":true},
			"comparison_date":"2026-03-01T09:00:00Z","notes":"line one\nline 'two'\t"}`),
		parse(record.KindBaseline, `{"baseline_type":"fixed_time","test_scenarios":3}`),
		parse(record.KindResource, `{"process_cpu_percent":250.5,"process_memory_mb":512.25,"host_cpu_percent":99.9,"host_memory_used_mb":8000,
			"host_memory_total_mb":16000,"disk_free_mb":0,"disk_total_mb":512000,"gpus":[{"index":0,"name":"A","utilization_percent":12}],
			"sampled_at":"2026-03-01T09:00:00Z","fans":2}`),
		parse(record.KindResource, `{}`),
	}
}

func testRoundTrip(b *bench) {
	run := b.begin("round trip")
	rows := specimens()
	batch := b.batch(run, rows...)
	res := b.apply(batch)
	equal(b, "result", res, store.Result{Stored: len(rows)})
	b.checkStored(run, batch.Entries)
	for _, schema := range record.Tabled() {
		n, err := b.s.CountRows(b.ctx, run.ExperimentID, run.RunID, schema.Kind)
		want := len(kindOf(batch.Entries, schema.Kind))
		if err != nil || n != int64(want) {
			b.Errorf("CountRows(%s) is %d, %v; want %d", schema.Kind, n, err, want)
		}
	}
	// Another handle sees the same, so it was committed.
	b.s = open(b.T, b.db)
	b.checkStored(run, batch.Entries)
}

func kindOf(entries []store.Entry, kind record.Kind) []store.Entry {
	return slices.DeleteFunc(slices.Clone(entries), func(e store.Entry) bool { return e.Row.Schema.Kind != kind })
}

// checkStored checks that Rows and Lookup return exactly the entries of the run.
func (b *bench) checkStored(run store.State, entries []store.Entry) {
	b.Helper()
	for _, schema := range record.Tabled() {
		want := map[store.Key]store.Entry{}
		var keys []store.Key
		for _, e := range kindOf(entries, schema.Kind) {
			key := store.KeyOf(run.RunID, &e)
			want[key] = e
			keys = append(keys, key)
		}
		rows := b.rows(run.ExperimentID, schema.Kind)
		equal(b, fmt.Sprintf("number of %s rows", schema.Kind), len(rows), len(want))
		looked, err := b.s.Lookup(b.ctx, run.ExperimentID, schema.Kind, append(keys, store.Key{Episode: 77, Step: 77, RunID: run.RunID, Seq: 1 << 40}))
		if err != nil {
			b.Fatalf("Lookup(%s): %v", schema.Kind, err)
		}
		equal(b, fmt.Sprintf("number of %s rows looked up", schema.Kind), len(looked), len(want))
		for _, row := range rows {
			key := store.KeyOf(row.RunID, &store.Entry{Seq: row.Seq, Row: row.Row})
			e, ok := want[key]
			if !ok {
				b.Errorf("%s: there is a row with the key %+v", schema.Kind, key)
				continue
			}
			b.checkRow(fmt.Sprintf("%s %d from Rows", schema.Kind, e.Seq), run, row, e)
			b.checkRow(fmt.Sprintf("%s %d from Lookup", schema.Kind, e.Seq), run, looked[key], e)
		}
	}
}

func (b *bench) checkRow(what string, run store.State, got store.Stored, want store.Entry) {
	b.Helper()
	if got.Row.Schema == nil {
		b.Errorf("%s: is missing", what)
		return
	}
	equal(b, what+": run", got.RunID, run.RunID)
	equal(b, what+": seq", got.Seq, want.Seq)
	equal(b, what+": time", got.Time.UnixMicro(), want.Time.UnixMicro())
	sameRow(b, what, &got.Row, &want.Row)
}

func testRoundTripOfAnyText(b *bench) {
	n := 0
	rapid.Check(b.T, func(t *rapid.T) {
		n++
		run := b.begin(fmt.Sprintf("any text %d", n))
		text := rapid.StringMatching(`[^\x00]{0,40}`).Draw(t, "text")
		number := rapid.Float64().Draw(t, "number")
		at := time.UnixMicro(rapid.Int64Range(0, 4e15).Draw(t, "time"))
		row := parse(record.KindBaseline, `{"baseline_type":"x"}`)
		row.Values[record.Baselines.Index("notes")] = record.TextValue([]byte(text))
		row.Values[record.Baselines.Index("comparison_date")] = record.TimeValue(at)
		e := episode(1, 1)
		if number == number && number-number == 0 {
			e.Values[record.Episodes.Index("total_reward")] = record.FloatValue(number)
		}
		batch := b.batch(run, row, e)
		b.apply(batch)
		b.checkStored(run, batch.Entries)
	})
}

func testOrder(b *bench) {
	run, other := b.begin("ordered"), b.begin("other")
	b.log(run, step(2, 0), step(0, 10), step(10, 1), step(0, 9), step(1, 0), episode(10, 1), episode(9, 1), checkpoint(), checkpoint())
	b.log(other, step(0, 0), episode(0, 0))
	var keys []string
	for _, row := range b.rows(run.ExperimentID, record.KindStep) {
		keys = append(keys, fmt.Sprint(row.Row.Values[0].Int(), ".", row.Row.Values[1].Int()))
	}
	equal(b, "order of steps", strings.Join(keys, " "), "0.9 0.10 1.0 2.0 10.1")
	keys = nil
	for _, row := range b.rows(run.ExperimentID, record.KindEpisode) {
		keys = append(keys, fmt.Sprint(row.Row.Values[0].Int()))
	}
	equal(b, "order of episodes", strings.Join(keys, " "), "9 10")
	keys = nil
	for _, row := range b.rows(run.ExperimentID, record.KindCheckpoint) {
		keys = append(keys, fmt.Sprint(row.Seq))
	}
	equal(b, "order of checkpoints", strings.Join(keys, " "), "8 9")

	// Leaving the loop early frees what it held.
	for range 50 {
		for range b.s.Rows(b.ctx, run.ExperimentID, record.KindStep) {
			break
		}
	}
	for _, err := range b.s.Rows(b.ctx, run.ExperimentID, record.KindHeartbeat) {
		if err == nil {
			b.Error("Rows of a kind without a table: no error")
		}
	}
}

// testBigBatch is what a sync sends: 10,000 steps at once, new, then once more from
// a later run.
func testBigBatch(b *bench) {
	const n = 10_000
	first, second := b.begin("big"), b.begin("big")
	rows := make([]record.Row, n)
	for i := range rows {
		rows[i] = step(i/100, i%100)
	}
	equal(b, "result", b.log(first, rows...), store.Result{Stored: n})
	batch := b.batch(second, rows...)
	for i := range batch.Entries {
		batch.Entries[i].Time = batch.Entries[i].Time.Add(time.Millisecond)
	}
	equal(b, "result of the later run", b.apply(batch), store.Result{Stored: n, Superseded: n})
	equal(b, "superseded of the first run", b.state(first.RunID).Superseded, n)
	equal(b, "superseded of the later run", b.state(second.RunID).Superseded, 0)
	count, err := b.s.CountRows(b.ctx, first.ExperimentID, second.RunID, record.KindStep)
	if err != nil || count != n {
		b.Errorf("CountRows is %d, %v", count, err)
	}
	var keys []store.Key
	for i := range n {
		keys = append(keys, store.Key{Episode: int64(i / 100), Step: int64(i % 100)})
	}
	looked, err := b.s.Lookup(b.ctx, first.ExperimentID, record.KindStep, keys)
	if err != nil || len(looked) != n {
		b.Errorf("Lookup found %d, %v", len(looked), err)
	}
	equal(b, "steps", b.experiment("big").Steps, n)
}
