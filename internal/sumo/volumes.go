package sumo

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
)

// Movement is a turn from one edge to the next.
type Movement struct{ From, To string }

// Volumes counts the vehicles per hour that want to make each movement in demand
// files between two times (s of the demand's clock). Where the demand only says from
// where to where, the vehicles take the quickest way at free flow.
func (n *Network) Volumes(routes []string, begin, end float64) (map[Movement]float64, error) {
	v := volumes{network: n, begin: begin, end: end, routes: map[string][]choice{}, turns: map[Movement]float64{}}
	for _, path := range routes {
		if err := v.file(path); err != nil {
			return nil, fmt.Errorf("demand %s: %w", path, err)
		}
	}
	return v.turns, nil
}

type volumes struct {
	network    *Network
	begin, end float64
	routes     map[string][]choice
	turns      map[Movement]float64
	edges      map[string][]*Lane
	ways       map[[2]string][]string
}

// choice is a route that a share of the vehicles takes.
type choice struct {
	edges []string
	share float64
}

// xmlDemand is a route, vehicle, trip or flow, as far as it is used.
type xmlDemand struct {
	ID          string      `xml:"id,attr"`
	Edges       string      `xml:"edges,attr"`
	Route       string      `xml:"route,attr"`
	Ref         string      `xml:"refId,attr"`
	From        string      `xml:"from,attr"`
	Via         string      `xml:"via,attr"`
	To          string      `xml:"to,attr"`
	Depart      string      `xml:"depart,attr"`
	Begin       float64     `xml:"begin,attr"`
	End         float64     `xml:"end,attr"`
	Number      float64     `xml:"number,attr"`
	PerHour     float64     `xml:"vehsPerHour,attr"`
	Period      string      `xml:"period,attr"`
	Probability float64     `xml:"probability,attr"`
	Inner       []xmlDemand `xml:"route"`
}

func (v *volumes) file(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for start, err := range elements(f) {
		if err != nil {
			return err
		}
		switch start.Name.Local {
		case "route", "routeDistribution", "vehicle", "trip", "flow":
			var d xmlDemand
			if err := start.decode(&d); err != nil {
				return err
			}
			if err := v.add(start.Name.Local, d); err != nil {
				return fmt.Errorf("%s %s: %w", start.Name.Local, d.ID, err)
			}
		}
	}
	return nil
}

func (v *volumes) add(kind string, d xmlDemand) error {
	switch kind {
	case "route":
		v.routes[d.ID] = []choice{{strings.Fields(d.Edges), 1}}
		return nil
	case "routeDistribution":
		v.routes[d.ID] = v.distribution(d)
		return nil
	}
	perHour := 0.0
	hours := (v.end - v.begin) / 3600
	if kind == "flow" {
		perHour = d.rate() * max(min(d.End, v.end)-max(d.Begin, v.begin), 0) / (v.end - v.begin)
	} else if t, err := strconv.ParseFloat(d.Depart, 64); err == nil && t >= v.begin && t < v.end {
		perHour = 1 / hours
	}
	if perHour == 0 {
		return nil
	}
	choices, err := v.choices(d)
	if err != nil {
		return err
	}
	for _, c := range choices {
		for i := 1; i < len(c.edges); i++ {
			v.turns[Movement{c.edges[i-1], c.edges[i]}] += perHour * c.share
		}
	}
	return nil
}

// distribution returns the routes of a routeDistribution with their shares.
func (v *volumes) distribution(d xmlDemand) (choices []choice) {
	sum := 0.0
	for _, r := range d.Inner {
		edges := strings.Fields(r.Edges)
		if known := v.routes[r.Ref]; len(edges) == 0 && len(known) > 0 {
			edges = known[0].edges
		}
		share := 1.0
		if r.Probability > 0 {
			share = r.Probability
		}
		choices = append(choices, choice{edges, share})
		sum += share
	}
	for i := range choices {
		choices[i].share /= sum
	}
	return choices
}

// choices returns the routes that a vehicle, trip or flow takes.
func (v *volumes) choices(d xmlDemand) ([]choice, error) {
	switch {
	case len(d.Inner) > 0:
		return []choice{{strings.Fields(d.Inner[0].Edges), 1}}, nil
	case d.Route != "":
		known, ok := v.routes[d.Route]
		if !ok {
			return nil, fmt.Errorf("its route %s is not defined before it", d.Route)
		}
		return known, nil
	case d.From == "" || d.To == "":
		return nil, errors.New("it has neither a route nor from and to")
	}
	stops := append(append([]string{d.From}, strings.Fields(d.Via)...), d.To)
	var edges []string
	for i := range stops[1:] {
		way := v.way(stops[i], stops[i+1])
		if way == nil {
			return nil, fmt.Errorf("no way leads from %s to %s", stops[i], stops[i+1])
		}
		if i > 0 {
			way = way[1:]
		}
		edges = append(edges, way...)
	}
	return []choice{{edges, 1}}, nil
}

// rate is a flow's vehicles per hour.
func (d xmlDemand) rate() float64 {
	switch period, err := strconv.ParseFloat(d.Period, 64); {
	case d.PerHour > 0:
		return d.PerHour
	case d.Probability > 0:
		return d.Probability * 3600
	case err == nil && period > 0:
		return 3600 / period
	case d.Number > 0 && d.End > d.Begin:
		return d.Number * 3600 / (d.End - d.Begin)
	}
	return 0
}

// way is the quickest way between two edges at free flow, both included; nil when
// there is none.
func (v *volumes) way(from, to string) []string {
	if v.ways == nil {
		v.ways, v.edges = map[[2]string][]string{}, map[string][]*Lane{}
		for _, l := range v.network.Lanes {
			v.edges[l.Edge] = append(v.edges[l.Edge], l)
		}
	}
	key := [2]string{from, to}
	if w, ok := v.ways[key]; ok {
		return w
	}
	cost, before, done := map[string]float64{from: 0}, map[string]string{}, map[string]bool{}
	for {
		at, best := "", math.Inf(1)
		for e, c := range cost {
			if !done[e] && (c < best || c == best && e < at) {
				at, best = e, c
			}
		}
		if at == "" || at == to {
			break
		}
		done[at] = true
		for _, l := range v.edges[at] {
			for _, link := range l.Out {
				if c := best + link.To.Length/link.To.Speed; cost[link.To.Edge] == 0 && link.To.Edge != from || c < cost[link.To.Edge] {
					cost[link.To.Edge], before[link.To.Edge] = c, at
				}
			}
		}
	}
	var w []string
	if _, ok := cost[to]; ok {
		for e := to; ; e = before[e] {
			w = append([]string{e}, w...)
			if e == from {
				break
			}
		}
	}
	v.ways[key] = w
	return w
}
