package sumo

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
)

// MetricsVersion names the definitions in this file. Figures of different versions
// must not be compared.
const MetricsVersion = "1"

// Metrics measure one simulation. All controllers are measured by this code over
// the same seconds: those after the warm-up until the end of the horizon.
//
// The delays follow SUMO's trip data over all vehicles whose planned departure is
// before the end, those of the warm-up and unfinished ones included: what happened
// to them in the warm-up is the same for every controller with the same seed.
type Metrics struct {
	// FullDelay is the primary metric, in s per vehicle: time loss plus the time
	// spent waiting to enter, of all vehicles that entered or wanted to. A
	// controller that blocks the entries does not look better by it.
	FullDelay float64 `json:"full_delay"`
	// Delay is time loss plus departure delay of the vehicles that entered, in s
	// per vehicle.
	Delay float64 `json:"delay"`
	// PassengerDelay is the full delay in s per passenger: each vehicle counts as often
	// as it has passengers. Passengers is in how many such delays that is.
	PassengerDelay float64 `json:"passenger_delay"`
	Passengers     float64 `json:"passengers"`
	// Backlog counts vehicles that wanted to enter and had not at the end.
	Backlog int `json:"backlog"`

	Waiting float64 `json:"waiting"` // mean over the decisions of the vehicles' mean time since they last moved, s
	// WorstWaiting is the waiting of the approach at which it is longest: mean over the
	// vehicles that were seen within Upstream of its stop line at the decisions, s. A
	// controller that lets a few wait for ever does not look better by it.
	WorstWaiting  float64 `json:"worst_waiting"`
	WorstApproach string  `json:"worst_approach,omitempty"` // signal/edge; empty when nobody waited

	Queue    float64 `json:"queue"`     // mean over the decisions of the halting vehicles on the observed lanes
	MaxQueue int     `json:"max_queue"` // largest number of halting vehicles on them
	Speed    float64 `json:"speed"`     // mean over the decisions of the vehicles' mean speed, km/h
	Vehicles int     `json:"vehicles"`  // vehicles that entered
	Served   int     `json:"served"`    // vehicles that arrived after the warm-up
	Stops    float64 `json:"stops"`     // times that a vehicle came to a halt, mean over those that entered

	VehiclesPerHour   float64 `json:"vehicles_per_hour"`
	PassengersPerHour float64 `json:"passengers_per_hour"`
	TravelTimeIndex   float64 `json:"travel_time_index"` // duration over duration without time loss, of arrived vehicles; 0 when none

	Buses        int     `json:"buses"`         // that arrived after the warm-up
	Jeepneys     int     `json:"jeepneys"`      // that arrived after the warm-up
	PTPassengers float64 `json:"pt_passengers"` // per hour, in buses and jeepneys
	PTDelay      float64 `json:"pt_delay"`      // s per bus or jeepney, as Delay
	PTWaiting    float64 `json:"pt_waiting"`    // s per bus or jeepney spent below 0.1 m/s
	PTUndelayed  float64 `json:"pt_undelayed"`  // share of buses and jeepneys that waited less than 60 s in all

	Teleports  int     `json:"teleports"`
	Collisions int     `json:"collisions"`
	CO2        float64 `json:"co2_kg,omitempty"`  // kg of all vehicles; only with Scenario.Emissions
	Fuel       float64 `json:"fuel_kg,omitempty"` // kg of all vehicles; only with Scenario.Emissions
}

// trip is one vehicle in SUMO's trip data.
type trip struct {
	Depart      float64 `xml:"depart,attr"` // -1: never entered
	DepartDelay float64 `xml:"departDelay,attr"`
	Arrival     float64 `xml:"arrival,attr"` // -1: on its way
	Duration    float64 `xml:"duration,attr"`
	Waiting     float64 `xml:"waitingTime,attr"`
	Stops       int     `xml:"waitingCount,attr"`
	TimeLoss    float64 `xml:"timeLoss,attr"`
	Type        string  `xml:"vType,attr"`
	Emissions   struct {
		CO2  string `xml:"CO2_abs,attr"`  // mg
		Fuel string `xml:"fuel_abs,attr"` // mg
	} `xml:"emissions"`
}

// trips adds what SUMO's trip data says.
func (m *Metrics) trips(path string, s Scenario, passengers Passengers) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("trip data: %w", err)
	}
	defer f.Close()
	if err := m.readTrips(f, s, passengers); err != nil {
		// SUMO ends well when the disk refuses its output: try the disk.
		if full := tryDisk(filepath.Dir(path)); full != nil {
			err = fmt.Errorf("%w: %w", full, err)
		}
		return fmt.Errorf("trip data %s: %w", path, err)
	}
	return nil
}

// tryDisk returns the error of writing a small file to a folder.
func tryDisk(dir string) error {
	f, err := os.CreateTemp(dir, "room-*")
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 64<<10))
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}

func (m *Metrics) readTrips(r io.Reader, s Scenario, passengers Passengers) error {
	var (
		loss, entering, free, ride float64
		served, transport          float64 // passengers
		stops                      int
		pt                         struct {
			n, undelayed   int
			delay, waiting float64
		}
	)
	written := false
	for start, err := range elements(r) {
		if err != nil {
			return fmt.Errorf("SUMO did not write it to its end: %w", err)
		}
		written = written || start.Name.Local == "tripinfos"
		if start.Name.Local != "tripinfo" {
			continue
		}
		var t trip
		if err := start.decode(&t); err != nil {
			return err
		}
		entering += t.DepartDelay
		aboard := passengers.Of(t.Type)
		m.Passengers += aboard
		m.PassengerDelay += aboard * t.DepartDelay
		if t.Depart < 0 {
			m.Backlog++
			continue
		}
		m.Vehicles++
		loss += t.TimeLoss
		m.PassengerDelay += aboard * t.TimeLoss
		m.Delay += t.TimeLoss + t.DepartDelay
		stops += t.Stops
		m.CO2 += milligrams(t.Emissions.CO2)
		m.Fuel += milligrams(t.Emissions.Fuel)
		bus, jeepney := PublicTransport(t.Type)
		if bus || jeepney {
			pt.n++
			pt.delay += t.TimeLoss + t.DepartDelay
			pt.waiting += t.Waiting
			if t.Waiting < 60 {
				pt.undelayed++
			}
		}
		if t.Arrival < 0 {
			continue
		}
		ride += t.Duration
		free += max(t.Duration-t.TimeLoss, 0)
		if t.Arrival <= float64(s.start()) {
			continue
		}
		m.Served++
		served += aboard
		if bus || jeepney {
			transport += aboard
		}
		if bus {
			m.Buses++
		}
		if jeepney {
			m.Jeepneys++
		}
	}
	if !written {
		return errors.New("SUMO did not write it: it is empty")
	}
	perHour := 3600 / float64(s.Horizon)
	m.VehiclesPerHour = float64(m.Served) * perHour
	m.PassengersPerHour, m.PTPassengers = served*perHour, transport*perHour
	if n := m.Vehicles + m.Backlog; n > 0 {
		m.FullDelay = (loss + entering) / float64(n)
	}
	if m.Passengers > 0 {
		m.PassengerDelay /= m.Passengers
	}
	if m.Vehicles > 0 {
		m.Delay /= float64(m.Vehicles)
		m.Stops = float64(stops) / float64(m.Vehicles)
	}
	if free > 0 {
		m.TravelTimeIndex = ride / free
	}
	if pt.n > 0 {
		m.PTDelay, m.PTWaiting = pt.delay/float64(pt.n), pt.waiting/float64(pt.n)
		m.PTUndelayed = float64(pt.undelayed) / float64(pt.n)
	}
	return nil
}

// milligrams reads an amount in mg and returns kg; 0 where SUMO gave none.
func milligrams(s string) float64 {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0
	}
	return v / 1e6
}
