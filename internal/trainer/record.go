package trainer

import (
	"context"
	"net/url"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/greenwave-traffic/greenwave"
	"github.com/greenwave-traffic/greenwave/internal/analysis"
	"github.com/greenwave-traffic/greenwave/internal/nn"
	"github.com/greenwave-traffic/greenwave/internal/sumo"
)

// start begins the recording.
func (t *trainer) start(ctx context.Context) (*greenwave.Run, error) {
	demand := map[string]any{"training": t.demand.Training, "validation": t.demand.Validation, "test": t.demand.Test, "validation_by_seeds_only": t.demand.SeedsOnly}
	meta := map[string]any{
		"tags": t.opt.Tags, "seed": t.cfg.Seed, "algorithm": "dueling double DQN", "demand": demand,
		"network": filepath.ToSlash(t.cfg.Net), "network_sha256": t.network.Hash, "sumo_version": t.version,
		"metrics_version": sumo.MetricsVersion, "kernel": nn.Kernel(), "go": runtime.Version(), "total_episodes_planned": t.cfg.Episodes,
	}
	if t.opt.Group != "" {
		meta["group"] = t.opt.Group
	}
	hyper, err := object(t.cfg)
	if err != nil {
		return nil, err
	}
	cfg := greenwave.Config{
		Experiment: t.opt.Experiment, Dir: filepath.Join(t.opt.Dir, "runs"), Destination: t.opt.Destination, Logger: t.logger,
		Description:     "D3QN on " + filepath.Base(t.cfg.Net),
		Hyperparameters: hyper, Metadata: meta,
	}
	if t.opt.Resume {
		return greenwave.Resume(ctx, cfg)
	}
	return greenwave.Start(ctx, cfg)
}

// logStep records the worker's last step.
func (t *trainer) logStep(w *worker) error {
	if w.number%t.cfg.LogSteps != 0 {
		return nil
	}
	n := len(w.o.Signals)
	step := greenwave.Step{
		EpisodeNumber: w.episode, StepNumber: w.number, ActiveVehicles: new(w.env.Vehicles()), ActionTaken: new(w.actions[0]),
		ImmediateReward: new(w.step.Reward), SimulationTime: new(float64(w.o.Time - w.scenario.Begin)),
		QueueLengths: make(map[string]map[string]float64, n), WaitingTimes: make(map[string]float64, n), Speeds: make(map[string]float64, n),
		IntersectionMetrics: make(map[string]any, n),
	}
	for s := range w.o.Signals {
		v := &w.o.Signals[s]
		queues := make(map[string]float64, len(v.Approaches))
		approaches := make(map[string]any, len(v.Approaches))
		vehicles, waiting, speed := 0.0, 0.0, 0.0
		arrivals, buses, jeepneys, passengers := 0, 0, 0, 0.0
		green := w.env.Green(s)
		for i, a := range v.Approaches {
			queues[a.Edge] = float64(a.Queue)
			vehicles += float64(a.Vehicles)
			waiting += a.Waiting * float64(a.Vehicles)
			speed += a.Speed * float64(a.Vehicles)
			arrivals += a.Arrivals
			buses += a.Buses
			jeepneys += a.Jeepneys
			passengers += a.PTPassengers
			approaches[a.Edge] = map[string]any{
				"vehicles": a.Vehicles, "waiting": round(a.Waiting), "max_waiting": a.MaxWaiting, "speed": round(a.Speed),
				"occupancy": round(a.Occupancy), "arrivals": a.Arrivals, "buses": a.Buses, "jeepneys": a.Jeepneys,
			}
			if i < len(green) {
				approaches[a.Edge].(map[string]any)["green"] = green[i]
			}
		}
		step.QueueLengths[v.ID] = queues
		if vehicles > 0 {
			step.WaitingTimes[v.ID], step.Speeds[v.ID] = round(waiting/vehicles), round(speed/vehicles)
		} else {
			step.WaitingTimes[v.ID], step.Speeds[v.ID] = 0, 0
		}
		step.IntersectionMetrics[v.ID] = map[string]any{
			"action": w.actions[s], "phase": v.Phase, "phase_age": v.Age, "shown": w.env.Shown(s), "reward": round(w.step.Rewards[s]),
			"q_values": w.values[s], "vehicles": vehicles, "arrivals": arrivals, "buses": buses, "jeepneys": jeepneys, "pt_passengers": round(passengers),
			"approaches": approaches,
		}
		step.StateVector = append(step.StateVector, w.states[s]...)
	}
	return t.recorded(t.run.LogStep(step))
}

// round leaves four decimals: what is measured is not more exact.
func round(v float64) float64 {
	r, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'f', 4, 64), 64)
	return r
}

// record records the worker's episode.
func (t *trainer) record(w *worker) error {
	m := &w.metrics
	info := describe(t.network, w.file, w.scenario)
	if len(w.failures) > 0 {
		info["failed_simulations"] = w.failures
	}
	t.curve.add(w.episode, m.FullDelay, m.Delay, w.reward)
	e := greenwave.Episode{
		EpisodeNumber: w.episode, ScenarioInfo: info, TotalReward: w.reward, StepsCompleted: new(w.number), EpsilonValue: new(w.epsilon),
		AvgLoss: t.learner.lossMean(), MemorySize: new(t.learner.memory()),
		TotalVehicles: new(m.Vehicles), CompletedTrips: new(m.Served), PassengerThroughput: new(m.PassengersPerHour),
		AvgWaitingTime: new(m.Waiting), AvgSpeed: new(m.Speed), AvgQueueLength: new(m.Queue), MaxQueueLength: new(float64(m.MaxQueue)),
		BusesProcessed: new(m.Buses), JeepneysProcessed: new(m.Jeepneys), PTPassengerThroughput: new(m.PTPassengers),
		PTAvgWaiting: new(m.PTWaiting), PTServiceEfficiency: new(m.PTUndelayed), RewardComponents: w.components.Map(),
		EpisodeDurationMinutes: new(time.Since(w.begun).Minutes()),
		Extra: greenwave.Extra{
			"full_delay": m.FullDelay, "passenger_delay": m.PassengerDelay, "passengers": m.Passengers, "delay": m.Delay, "backlog": m.Backlog, "stops": m.Stops, "vehicles_per_hour": m.VehiclesPerHour,
			"pt_delay": m.PTDelay, "worst_waiting": m.WorstWaiting, "teleports": m.Teleports, "collisions": m.Collisions,
			"gridlocked": t.curve.gridlocked(m.FullDelay),
		},
	}
	if t.cfg.Emissions {
		e.Extra["co2_kg"], e.Extra["fuel_kg"] = m.CO2, m.Fuel
	}
	if m.TravelTimeIndex > 0 {
		e.TravelTimeIndex = new(m.TravelTimeIndex)
	}
	if err := t.recorded(t.run.LogEpisode(e)); err != nil {
		return err
	}
	t.tell(Progress{Episode: w.episode, Reward: w.reward, Metrics: *m})
	return nil
}

// recordLearning records at which episode the reward converged, and the shape of the
// learning curve. Where it did not converge, convergence_episode stays null.
func (t *trainer) recordLearning() error {
	rewards := t.curve.rewards()
	if len(t.cfg.Horizons) > 1 {
		// Sums over unlike times are no curve; rewards of a decision are.
		rewards = slices.Clone(rewards)
		for i := range rewards {
			rewards[i] /= float64(t.cfg.decisions(t.cfg.horizon(i + 1)))
		}
	}
	l, ok := analysis.Learn(rewards)
	if !ok {
		return nil
	}
	shape, err := object(l)
	if err != nil {
		return err
	}
	change := greenwave.Experiment{Metadata: map[string]any{"learning": shape}}
	if l.Converged != nil {
		change.ConvergenceEpisode = new(*l.Converged + 1)
	}
	return t.recorded(t.run.LogExperiment(change))
}

// recorded lets the training go on when the disk refuses a record: the run counts
// what is missing and says so. Anything else is a fault of this program.
func (t *trainer) recorded(err error) error {
	if err == nil || isNotRecorded(err) {
		return nil
	}
	return err
}

func (t *trainer) tell(p Progress) {
	if t.opt.Progress == nil {
		return
	}
	p.Episodes, p.Left = t.cfg.Episodes, t.left()
	t.opt.Progress(p)
}

// fileName is an experiment's name as a folder.
func fileName(experiment string) string { return url.PathEscape(experiment) }
