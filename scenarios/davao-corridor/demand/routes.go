package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// eastward and westward are the main road's edges, with the signal at the end of
// each approach.
var (
	eastward = []string{"west_in", "eco_w", "eco_jp", "jp_w", "jp_san", "san_w", "east_out"}
	westward = []string{"east_in", "san_e", "san_jp", "jp_e", "jp_eco", "eco_e", "west_out"}
)

// along is how far along the main road a place is: its ends, or the signal (1, 2, 3)
// whose side road it is on.
var along = map[string]int{"west": 0, "eco_n": 1, "eco_s": 1, "jp_n": 2, "jp_s": 2, "san_s": 3, "east": 4}

// edges lists the edges from a place to another.
func edges(from, to string) []string {
	a, b := along[from], along[to]
	var list []string
	if a != 0 && a != 4 {
		list = append(list, from+"_in", from)
	}
	// Between signals s and s+1 the main road has the edges 2s and 2s+1.
	switch {
	case a < b:
		list = append(list, eastward[2*a:min(2*b, 7)]...)
	case a > b:
		list = append(list, westward[2*(4-a):min(2*(4-b), 7)]...)
	}
	if b != 0 && b != 4 {
		list = append(list, to+"_out")
	}
	return list
}

// stop is where jeepneys or buses let people on and off.
type stop struct {
	edge       string
	start, end float64 // m from the edge's start
	seconds    int
	bay        bool // beside the road
}

// line is a route of jeepneys or buses, with its part of them.
type line struct {
	from, to string
	part     float64
	stops    []stop
	way      []string // its edges, where they are not all from one place to the other
}

// Jeepneys stop in the kerb lane, as they do; buses have bays.
var jeepneys = []line{
	{"west", "east", 18, []stop{kerb("eco_jp", 60), kerb("jp_san", 200)}, nil},
	{"east", "west", 18, []stop{kerb("san_jp", 60), kerb("jp_eco", 200)}, nil},
	{"eco_s", "east", 9, []stop{kerb("eco_s_in", 90), kerb("jp_san", 60)}, nil},
	{"east", "eco_s", 4, []stop{kerb("san_jp", 200), kerb("eco_s_out", 60)}, nil},
	{"west", "san_s", 7, []stop{kerb("eco_jp", 200), kerb("san_s_out", 60)}, nil},
	{"san_s", "west", 8, []stop{kerb("san_s_in", 90), kerb("jp_eco", 60)}, nil},
	{"jp_s", "west", 6, []stop{kerb("jp_s_in", 90), kerb("jp_eco", 130)}, nil},
	{"west", "jp_s", 6, []stop{kerb("eco_jp", 130), kerb("jp_s_out", 60)}, nil},
	{"eco_n", "east", 6, []stop{kerb("eco_n_in", 90), kerb("jp_san", 130)}, nil},
	{"east", "eco_n", 9, []stop{kerb("san_jp", 130), kerb("eco_n_out", 60)}, nil},
	{"jp_n", "jp_s", 4, []stop{kerb("jp_n_in", 90), kerb("jp_s_out", 120)}, nil},
	{"jp_s", "jp_n", 4, []stop{kerb("jp_n_out", 60)}, nil},
}

var buses = []line{
	{"west", "east", 30, []stop{bay("eco_jp", 270), bay("jp_san", 270)}, nil},
	{"east", "west", 30, []stop{bay("san_jp", 270), bay("jp_eco", 270)}, nil},
	{"eco_s", "east", 20, []stop{bay("jp_san", 270)}, nil},
	{"east", "eco_s", 20, []stop{bay("jp_eco", 270)}, nil},
}

// sections are the edges on which vehicles are when the hour begins, and for how
// many seconds of their flow.
var sections = []struct {
	edge    string
	seconds float64
	inner   bool // between two signals: with jeepneys
}{
	{"west_in", 45, false}, {"east_in", 45, false},
	{"eco_n_in", 60, false}, {"eco_s_in", 60, false}, {"jp_n_in", 60, false}, {"jp_s_in", 60, false}, {"san_s_in", 60, false},
	{"eco_jp", 60, true}, {"jp_san", 60, true}, {"san_jp", 60, true}, {"jp_eco", 60, true},
}

func kerb(edge string, at float64) stop { return stop{edge, at, at + 30, 10, false} }
func bay(edge string, at float64) stop  { return stop{edge, at, at + 40, 20, true} }

// write writes the demand as a SUMO route file.
func (d *demand) write(b *bytes.Buffer) {
	peak := 0.0
	for k := range d.volume {
		peak = max(peak, d.total(k))
	}
	fmt.Fprintf(b, `<?xml version="1.0" encoding="UTF-8"?>
<!-- Davao corridor, %s, file %d: %.0f vehicles in the first hour, up to %.0f per hour.
     Written by the demand program beside it. Made up; nothing was counted. -->
<routes>
    <vTypeDistribution id="private">
`, d.profile.name, d.number, d.firstHour(), peak)
	for _, t := range []struct {
		id, rest string
		share    float64
	}{
		{"car", `vClass="passenger" length="4.6" minGap="2.2" accel="2.6" decel="4.5" sigma="0.5" maxSpeed="16.67"`, carShare},
		{"motor", `vClass="motorcycle" length="2.1" minGap="1.4" accel="3.2" decel="5.0" sigma="0.5" maxSpeed="16.67"`, motorShare},
		{"truck", `vClass="truck" length="9.0" minGap="2.8" accel="1.3" decel="4.0" sigma="0.4" maxSpeed="13.89"`, truckShare},
	} {
		fmt.Fprintf(b, "        <vType id=%q %s probability=\"%.3f\"/>\n", t.id, t.rest, t.share)
	}
	b.WriteString(`    </vTypeDistribution>
    <vType id="jeepney" vClass="bus" guiShape="bus" length="7.0" minGap="2.2" accel="1.8" decel="4.0" sigma="0.6" maxSpeed="13.89"/>
    <vType id="bus" vClass="bus" length="12.0" minGap="2.5" accel="1.2" decel="4.0" sigma="0.4" maxSpeed="13.89"/>
`)
	d.writeStanding(b)
	for k := range d.volume {
		for i, from := range places {
			if k == 0 {
				writeRoutes(b, from, d.trips(i))
			}
			writeFlow(b, k, from, "private", d.volume[k][i]*privateShare)
		}
		if k == 0 {
			writeRoutes(b, "jeepney", jeepneys)
			writeRoutes(b, "bus", buses)
		}
		writeFlow(b, k, "jeepney", "jeepney", d.total(k)*jeepneyShare)
		writeFlow(b, k, "bus", "bus", d.total(k)*busShare)
	}
	b.WriteString("</routes>\n")
}

// trips are the ways of the cars, motorcycles and trucks from a place.
func (d *demand) trips(from int) []line {
	var list []line
	for to, share := range d.share[from] {
		if share > 0 {
			list = append(list, line{from: places[from], to: places[to], part: share})
		}
	}
	return list
}

// writeStanding writes the vehicles that are on the road when the hour begins: what
// passes a section within its seconds.
func (d *demand) writeStanding(b *bytes.Buffer) {
	for _, s := range sections {
		var private []line
		for i := range places {
			for _, l := range d.trips(i) {
				l.part *= d.volume[0][i] * privateShare
				private = append(private, l)
			}
		}
		for _, kind := range []struct {
			id, vehicle string
			lines       []line
			volume      float64 // of all lines together, vehicles per hour
		}{
			{"now_" + s.edge, "private", private, d.total(0) * privateShare},
			{"now_jeepney_" + s.edge, "jeepney", jeepneys, d.total(0) * jeepneyShare},
		} {
			if kind.vehicle == "jeepney" && !s.inner {
				continue
			}
			var passing []line
			all, through := 0.0, 0.0
			for _, l := range kind.lines {
				all += l.part
				rest, ok := l.rest(s.edge)
				if !ok {
					continue
				}
				through += l.part
				if at := slices.IndexFunc(passing, func(p line) bool { return kind.vehicle == "private" && p.to == l.to }); at >= 0 {
					passing[at].part += l.part
				} else {
					passing = append(passing, rest)
				}
			}
			n := int(kind.volume*through/all*s.seconds/3600 + 0.5)
			if n == 0 {
				continue
			}
			for i := range passing {
				passing[i].part /= through
			}
			writeRoutes(b, kind.id, passing)
			fmt.Fprintf(b, "    <flow id=%q type=%q route=%q begin=\"0\" end=\"10\" number=\"%d\" departLane=\"best\" departPos=\"random_free\" departSpeed=\"max\"/>\n",
				kind.id, kind.vehicle, kind.id, n)
		}
	}
}

// rest is what is left of a line for a vehicle that is on an edge; its stops on that
// edge are behind it.
func (l line) rest(edge string) (line, bool) {
	way := l.edges()
	at := slices.Index(way, edge)
	if at < 0 {
		return line{}, false
	}
	rest := line{from: edge, to: l.to, part: l.part, way: way[at:]}
	for _, s := range l.stops {
		if slices.Index(way, s.edge) > at {
			rest.stops = append(rest.stops, s)
		}
	}
	return rest, true
}

// edges are those of the line.
func (l line) edges() []string {
	if l.way != nil {
		return l.way
	}
	return edges(l.from, l.to)
}

// writeFlow writes a flow of vehicles per hour as a chance per second. Its routes
// have its name.
func writeFlow(b *bytes.Buffer, k int, id, vehicle string, volume float64) {
	fmt.Fprintf(b, "    <flow id=\"%s.%d\" type=%q route=%q begin=\"%d\" end=\"%d\" probability=\"%.4f\" departLane=\"best\" departSpeed=\"max\"/>\n",
		id, k, vehicle, id, k*piece, (k+1)*piece, volume/3600)
}

// writeRoutes writes lines to choose from by their parts.
func writeRoutes(b *bytes.Buffer, id string, lines []line) {
	fmt.Fprintf(b, "    <routeDistribution id=%q>\n", id)
	for _, l := range lines {
		fmt.Fprintf(b, "        <route id=\"%s.%s-%s\" edges=%q probability=\"%.4f\"", id, l.from, l.to, strings.Join(l.edges(), " "), l.part)
		if len(l.stops) == 0 {
			b.WriteString("/>\n")
			continue
		}
		b.WriteString(">\n")
		for _, s := range l.stops {
			fmt.Fprintf(b, "            <stop lane=\"%s_0\" startPos=\"%.0f\" endPos=\"%.0f\" duration=\"%d\"", s.edge, s.start, s.end, s.seconds)
			if s.bay {
				b.WriteString(` parking="true"`)
			}
			b.WriteString("/>\n")
		}
		b.WriteString("        </route>\n")
	}
	b.WriteString("    </routeDistribution>\n")
}

// firstHour is how many vehicles want to enter in the first hour.
func (d *demand) firstHour() float64 {
	sum := 0.0
	for k := range 3600 / piece {
		sum += d.total(k) * piece / 3600
	}
	return sum
}
