package server

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Network is a road network to draw, in metres of SUMO's plane.
type Network struct {
	Bounds  [4]float64 `json:"bounds"` // west, south, east, north
	Edges   []Edge     `json:"edges"`
	Signals []Signal   `json:"signals"`
}

// Edge is a road in one direction.
type Edge struct {
	ID    string       `json:"id"`
	Lanes int          `json:"lanes"`
	Shape [][2]float64 `json:"shape"` // middle of the road
}

// Signal is a junction with traffic lights.
type Signal struct {
	ID         string   `json:"id"`
	X          float64  `json:"x"`
	Y          float64  `json:"y"`
	Approaches []string `json:"approaches"` // edges that lead to it
	Links      []Link   `json:"links"`      // what its lights let through
}

// Link is a movement over a junction: its light is that character of the signal's state.
type Link struct {
	Index int    `json:"index"`
	From  string `json:"from"` // edge
	To    string `json:"to"`   // edge
}

// Networks finds road networks and keeps those that were read.
type Networks struct {
	File string // for experiments that do not say which; empty: none
	mu   sync.Mutex
	read map[string]*Network // by path; nil: cannot be read
}

func (n *Networks) get(path string) (*Network, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if net, ok := n.read[path]; ok {
		return net, nil
	}
	net, err := readNetwork(path)
	if n.read == nil || len(n.read) > 50 {
		n.read = map[string]*Network{}
	}
	if err == nil {
		n.read[path] = net
	}
	return net, err
}

// showNetwork answers with the network of an experiment: the one that its
// configuration names, when this machine has it, else the one of --net, else none.
func (s *Server) showNetwork(w http.ResponseWriter, r *http.Request) error {
	e, err := s.find(r.Context(), r.PathValue("experiment"))
	if err != nil {
		return err
	}
	var config struct {
		Net any `json:"net"`
	}
	_ = json.Unmarshal(e.config, &config) // other people's objects
	for _, path := range []any{config.Net, s.opt.Networks.File} {
		name, ok := path.(string)
		if !ok || !strings.HasSuffix(name, ".net.xml") {
			continue
		}
		net, err := s.opt.Networks.get(name)
		if err == nil {
			return s.json(w, r, net)
		}
		if !errors.Is(err, os.ErrNotExist) {
			s.opt.Logger.Warn("a road network cannot be read", "experiment", e.Name, "reason", err)
		}
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// readNetwork reads what is drawn of a SUMO network:
// https://sumo.dlr.de/docs/Networks/SUMO_Road_Networks.html
func readNetwork(path string) (*Network, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	net := &Network{Bounds: [4]float64{math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)}, Edges: []Edge{}, Signals: []Signal{}}
	approaches := map[string][]string{} // signal → edges
	links := map[string][]Link{}        // signal → movements
	places := map[string][2]float64{}   // junction
	ends := map[string]string{}         // edge → junction
	var edge *Edge
	var shapes [][][2]float64
	d := xml.NewDecoder(f)
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		switch t := t.(type) {
		case xml.StartElement:
			a := attributes(t)
			switch t.Name.Local {
			case "edge":
				if a["function"] == "" || a["function"] == "normal" {
					edge, shapes = &Edge{ID: a["id"]}, nil
					ends[edge.ID] = a["to"]
				}
			case "lane":
				if edge != nil {
					edge.Lanes++
					shapes = append(shapes, points(a["shape"]))
				}
			case "junction":
				x, _ := strconv.ParseFloat(a["x"], 64)
				y, _ := strconv.ParseFloat(a["y"], 64)
				places[a["id"]] = [2]float64{x, y}
			case "connection":
				tl := a["tl"]
				if tl == "" {
					continue
				}
				if !slices.Contains(approaches[tl], a["from"]) {
					approaches[tl] = append(approaches[tl], a["from"])
				}
				if i, err := strconv.Atoi(a["linkIndex"]); err == nil {
					links[tl] = append(links[tl], Link{i, a["from"], a["to"]})
				}
			}
		case xml.EndElement:
			if t.Name.Local == "edge" && edge != nil {
				edge.Shape = middle(shapes)
				for _, p := range edge.Shape {
					net.Bounds = [4]float64{min(net.Bounds[0], p[0]), min(net.Bounds[1], p[1]), max(net.Bounds[2], p[0]), max(net.Bounds[3], p[1])}
				}
				net.Edges = append(net.Edges, *edge)
				edge = nil
			}
		}
	}
	if len(net.Edges) == 0 {
		return nil, fmt.Errorf("%s: it holds no edges: is it a SUMO network (.net.xml)?", path)
	}
	for tl, edges := range approaches {
		signal := Signal{ID: tl, Approaches: edges, Links: links[tl]}
		if signal.Links == nil {
			signal.Links = []Link{}
		}
		for _, e := range edges { // a signal may govern several junctions
			at := places[ends[e]]
			signal.X += at[0] / float64(len(edges))
			signal.Y += at[1] / float64(len(edges))
		}
		net.Signals = append(net.Signals, signal)
	}
	slices.SortFunc(net.Signals, func(a, b Signal) int { return strings.Compare(a.ID, b.ID) })
	return net, nil
}

func attributes(t xml.StartElement) map[string]string {
	a := make(map[string]string, len(t.Attr))
	for _, at := range t.Attr {
		a[at.Name.Local] = at.Value
	}
	return a
}

func points(shape string) [][2]float64 {
	var list [][2]float64
	for p := range strings.FieldsSeq(shape) {
		parts := strings.Split(p, ",")
		if len(parts) < 2 {
			continue
		}
		x, errX := strconv.ParseFloat(parts[0], 64)
		y, errY := strconv.ParseFloat(parts[1], 64)
		if errX == nil && errY == nil {
			list = append(list, [2]float64{math.Round(x*10) / 10, math.Round(y*10) / 10})
		}
	}
	return list
}

// middle is the lane in the middle of a road.
func middle(lanes [][][2]float64) [][2]float64 {
	if len(lanes) == 0 {
		return nil
	}
	return lanes[len(lanes)/2]
}
