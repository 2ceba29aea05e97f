package record_test

import (
	"fmt"
	"math"
	"time"

	"github.com/greenwave-traffic/greenwave/record"
)

func ExampleStep() {
	step := &record.Step{
		EpisodeNumber:   1,
		StepNumber:      60,
		ActiveVehicles:  new(45),
		WaitingTimes:    map[string]float64{"ECOLAND": 15.2, "SANDAWA": math.NaN()},
		StateVector:     []float32{0.15, 0, 0.45},
		ImmediateReward: new(2.34),
		Extra:           record.Extra{"phase": "NS green"},
	}
	line, err := step.AppendJSON(nil)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
	// Output:
	// {"episode_number":1,"step_number":60,"active_vehicles":45,"waiting_times":{"ECOLAND":15.2,"SANDAWA":"NaN"},"state_vector":[0.15,0,0.45],"immediate_reward":2.34,"phase":"NS green","non_finite":["waiting_times.SANDAWA"]}
}

func ExampleEpisode_Check() {
	episode := &record.Episode{EpisodeNumber: 1, TotalReward: 164.67, EpsilonValue: new(1.5)}
	fmt.Println(episode.Check())
	// Output: episode: epsilon_value is 1.5: must be a number from 0 to 1
}

func ExampleParse() {
	row, err := record.Parse(record.KindEpisode, []byte(`{"episode_number": 1, "total_reward": 164.67, "avg_loss": NaN, "agent": "d3qn"}`), nil)
	if err != nil {
		panic(err)
	}
	fmt.Println(row.Get("total_reward").Float(), row.Get("avg_loss").IsNull(), string(row.Extra))

	_, err = record.Parse(record.KindEpisode, []byte(`{"episode_number": 1, "total_reward": "164.67"}`), nil)
	fmt.Println(err)
	// Output:
	// 164.67 true {"agent":"d3qn","non_finite":["avg_loss"]}
	// episode: total_reward is "164.67": must be a number
}

func ExampleParseOptions() {
	// An older logger wrote local time without a zone.
	manila := time.FixedZone("PHT", 8*3600)
	row, err := record.ParseOptions{Zone: manila}.Parse(record.KindStep,
		[]byte(`{"episode_number": 0, "step_number": 0, "real_timestamp": "2025-09-21T08:13:54.932658"}`), nil)
	if err != nil {
		panic(err)
	}
	fmt.Println(row.Get("real_timestamp").Time())
	// Output: 2025-09-21 00:13:54.932658 +0000 UTC
}

func ExampleRow_Record() {
	row, err := record.Parse(record.KindEnd, []byte(`{"status": "completed"}`), nil)
	if err != nil {
		panic(err)
	}
	typed, err := row.Record()
	if err != nil {
		panic(err)
	}
	fmt.Println(typed.(*record.End).Status)
	// Output: completed
}
