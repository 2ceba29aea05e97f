package storetest

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/record"
)

// columns of the tables and views, as the contract lists them, with those that
// every row has beside them.
var columns = func() map[string][]string {
	all := map[string][]string{
		"experiments": {"id", "experiment_name", "description", "config", "status", "created_at", "completed_at", "total_episodes", "best_reward",
			"convergence_episode", "created_by", "metadata"},
		"real_time_training": {"experiment_name", "status", "total_episodes", "best_reward", "episode_number", "current_reward", "passenger_throughput",
			"avg_waiting_time", "completed_trips", "timestamp", "active_vehicles", "simulation_time"},
		"performance_analytics": {"experiment_name", "episodes_completed", "avg_reward", "best_reward", "reward_std", "avg_passenger_throughput",
			"avg_waiting_time", "avg_completed_trips", "first_reward", "latest_reward"},
		"convergence_detection": {"experiment_id", "experiment_name", "episode_number", "total_reward", "moving_avg"},
		"training_runs": {"id", "experiment_id", "experiment_name", "source", "host", "pid", "started_at", "ended_at", "status", "reason", "last_heartbeat",
			"header", "cursor", "dead", "superseded", "updated_at"},
		"dead_letters": {"run_id", "seq", "kind", "reason", "location", "refused_at"},
	}
	for _, schema := range record.Tabled() {
		list := []string{"experiment_id"}
		for _, f := range schema.Fields {
			list = append(list, f.Name)
		}
		if schema.Key == 0 {
			list = append(list, "id")
		}
		all[schema.Table] = append(list, "extra", "run_id", "seq", "logged_at")
	}
	return all
}()

func testColumns(b *bench) {
	b.log(b.begin("columns"), specimens()...)
	for table, want := range columns {
		have, _ := b.query(`SELECT * FROM %s`, table)
		for _, column := range want {
			if !slices.Contains(have, column) {
				b.Errorf("%s has no column %s", table, column)
			}
		}
		if strings.HasPrefix(table, "real_time") || strings.HasPrefix(table, "performance") || strings.HasPrefix(table, "convergence") {
			equal(b, "columns of "+table, strings.Join(have, " "), strings.Join(want, " "))
		}
	}
}

// fill logs ten guide-shaped episodes under the guide's experiment name.
func (b *bench) fill() []float64 {
	run := b.begin("thesis_final_run")
	rewards := []float64{164.67, -20, 33.25, 101, 0, 99.5, -7.125, 12, 180.5, 150}
	var rows []record.Row
	for i, reward := range rewards {
		rows = append(rows, parse(record.KindEpisode, `{"episode_number":%d,"total_reward":%v,"passenger_throughput":%v,"avg_waiting_time":%v,"completed_trips":%d,
			"buses_processed":%d,"jeepneys_processed":%d,"pt_passenger_throughput":%v,"timestamp":"2026-03-01T08:%02d:00Z"}`,
			i+1, reward, 6000.5+float64(i), 17.5-float64(i), 390+i, 40+i, 60+i, 890.5, i))
		rows = append(rows, step(i+1, 0), step(i+1, 60))
	}
	b.log(run, rows...)
	return rewards
}

func testRealTimeTraining(b *bench) {
	b.fill()
	b.begin("nothing yet")
	b.log(b.begin("steps only"), step(0, 0), step(0, 1))
	_, rows := b.query(`SELECT experiment_name, total_episodes, best_reward, episode_number, current_reward, passenger_throughput, avg_waiting_time,
		completed_trips, timestamp, active_vehicles, simulation_time FROM real_time_training ORDER BY experiment_name DESC`)
	equal(b, "rows", len(rows), 3)
	at := time.Date(2026, 3, 1, 8, 9, 0, 0, time.UTC)
	if got, ok := rows[0][8].(time.Time); !ok || !got.Equal(at) {
		b.Errorf("timestamp is %v, want %v", rows[0][8], at)
	}
	rows[0][8] = nil
	for i, want := range []string{
		"[thesis_final_run 10 180.5 10 150 6009.5 8.5 399 <nil> 160 600]",
		"[steps only 0 <nil> <nil> <nil> <nil> <nil> <nil> <nil> 1 10]",
		"[nothing yet 0 <nil> <nil> <nil> <nil> <nil> <nil> <nil> <nil> <nil>]",
	} {
		equal(b, "row", fmt.Sprint(rows[i]), want)
	}
}

// The view says what the guide's query says.
func testConvergenceDetection(b *bench) {
	rewards := b.fill()
	b.log(b.begin("another"), episode(1, -3), episode(2, -5))
	_, want := b.query(`SELECT episode_number, AVG(total_reward) OVER (ORDER BY episode_number ROWS 9 PRECEDING) as moving_avg
		FROM training_episodes WHERE experiment_id = (SELECT id FROM experiments WHERE experiment_name = 'thesis_final_run') ORDER BY episode_number`)
	_, rows := b.query(`SELECT episode_number, moving_avg, total_reward FROM convergence_detection WHERE experiment_name = 'thesis_final_run' ORDER BY episode_number`)
	equal(b, "rows", len(rows), len(rewards))
	equal(b, "rows of the guide's query", len(want), len(rows))
	for i, r := range rows {
		equal(b, "row", fmt.Sprint(r[:2]), fmt.Sprint(want[i]))
		equal(b, "reward", number(r[2]), any(rewards[i]))
	}
	_, rows = b.query(`SELECT moving_avg FROM convergence_detection WHERE experiment_name = 'another' ORDER BY episode_number`)
	equal(b, "another's own mean", fmt.Sprint(rows), "[[-3] [-4]]")
}

func testPerformanceAnalytics(b *bench) {
	rewards := b.fill()
	b.begin("nothing yet")
	b.log(b.begin("one"), episode(4, -3))
	var sum, squares float64
	for _, r := range rewards {
		sum += r
	}
	mean := sum / float64(len(rewards))
	for _, r := range rewards {
		squares += (r - mean) * (r - mean)
	}
	std := math.Sqrt(squares / float64(len(rewards)-1))
	_, rows := b.query(`SELECT * FROM performance_analytics WHERE experiment_name = 'thesis_final_run'`)
	equal(b, "rows", len(rows), 1)
	want := []any{"thesis_final_run", int64(10), mean, 180.5, std, 6005.0, 13.0, 394.5, 164.67, 150.0}
	for i, w := range want {
		got := number(rows[0][i])
		if x, ok := w.(float64); ok {
			if y, ok := got.(float64); !ok || math.Abs(x-y) > 1e-9*math.Abs(x) {
				b.Errorf("%s is %v, want %v", columns["performance_analytics"][i], got, x)
			}
			continue
		}
		equal(b, columns["performance_analytics"][i], rows[0][i], w)
	}
	_, rows = b.query(`SELECT * FROM performance_analytics WHERE experiment_name <> 'thesis_final_run' ORDER BY experiment_name DESC`)
	equal(b, "rows", len(rows), 2)
	equal(b, "one episode", fmt.Sprint(rows[0]), "[one 1 -3 -3 <nil> 6512.73 17.18 398 -3 -3]")
	equal(b, "no episode", fmt.Sprint(rows[1]), "[nothing yet 0 <nil> <nil> <nil> <nil> <nil> <nil> <nil> <nil>]")
	equal(b, "no experiment", len(second(b.query(`SELECT * FROM performance_analytics WHERE experiment_name = 'nobody'`))), 0)
}

func second[A, B any](_ A, b B) B { return b }

// number makes a number of what a database returns for an average.
func number(v any) any {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case string:
		var x float64
		if _, err := fmt.Sscan(v, &x); err == nil {
			return x
		}
	}
	return v
}

// GuideSelects are the statements of the guide that read, as they are written there.
var GuideSelects = []string{
	`-- Current training status
SELECT * FROM real_time_training 
WHERE experiment_name = 'thesis_final_run';`,
	`-- Performance trends
SELECT episode_number, total_reward, passenger_throughput 
FROM training_episodes 
WHERE experiment_id = (
  SELECT id FROM experiments 
  WHERE experiment_name = 'thesis_final_run'
)
ORDER BY episode_number;`,
	`-- Public transport performance
SELECT 
  AVG(buses_processed) as avg_buses,
  AVG(jeepneys_processed) as avg_jeepneys,
  AVG(pt_passenger_throughput) as avg_pt_throughput
FROM training_episodes 
WHERE experiment_id = (SELECT id FROM experiments WHERE experiment_name = 'thesis_final_run');`,
	`-- Training progress analysis
SELECT * FROM performance_analytics 
WHERE experiment_name = 'thesis_final_run';`,
	`-- Convergence detection
SELECT episode_number, 
       AVG(total_reward) OVER (ORDER BY episode_number ROWS 9 PRECEDING) as moving_avg
FROM training_episodes 
WHERE experiment_id = (SELECT id FROM experiments WHERE experiment_name = 'thesis_final_run')
ORDER BY episode_number;`,
	`
    SELECT episode_number, total_reward, passenger_throughput 
    FROM training_episodes 
    WHERE experiment_id = (
        SELECT id FROM experiments 
        WHERE experiment_name = 'thesis_final_run'
    )
`,
}

func testGuide(b *bench) {
	rewards := b.fill()
	b.log(b.begin("another"), episode(1, 1e6))
	var got [][][]any
	for _, statement := range GuideSelects {
		got = append(got, second(b.query("%s", statement)))
	}
	for i, want := range []int{1, 10, 1, 1, 10, 10} {
		equal(b, "rows of "+GuideSelects[i], len(got[i]), want)
	}
	// The last statement asks for no order.
	slices.SortFunc(got[5], func(x, y []any) int { return int(x[0].(int64) - y[0].(int64)) })
	for i, reward := range rewards {
		equal(b, "episode", fmt.Sprint(got[1][i]), fmt.Sprint([]any{i + 1, reward, 6000.5 + float64(i)}))
		equal(b, "episode", fmt.Sprint(got[5][i]), fmt.Sprint(got[1][i]))
		average := 0.0
		for _, r := range rewards[max(0, i-9) : i+1] {
			average += r / float64(min(i+1, 10))
		}
		if x, ok := number(got[4][i][1]).(float64); !ok || math.Abs(x-average) > 1e-9 {
			b.Errorf("moving average of episode %d is %v, want %v", i+1, got[4][i][1], average)
		}
	}
	for i, want := range []float64{44.5, 64.5, 890.5} {
		equal(b, "average", number(got[2][0][i]), any(want))
	}
}
