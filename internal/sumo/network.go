package sumo

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// Network is a road network as its .net.xml file says.
type Network struct {
	Path    string
	Hash    string // SHA-256 of the file in hexadecimal
	Lanes   map[string]*Lane
	Signals []*Signal // in the order of the file

	junction string // one of its junctions
}

// Point is a place in the network's own coordinates, in metres.
type Point struct{ X, Y float64 }

// Lane is one lane of an edge. Lanes inside junctions are left out; links bridge
// them.
type Lane struct {
	ID     string
	Edge   string
	Length float64 // m
	Speed  float64 // m/s
	Shape  []Point
	Out    []*Link
	In     []*Link
}

// Link is a connection from a lane to a lane across a junction.
type Link struct {
	From, To *Lane
	Dir      string // s straight, l left, r right, t turn, L and R partially left and right
	Signal   *Signal
	Index    int     // place in the signal's states; -1 without a signal
	Length   float64 // m inside the junction
}

// Signal is a traffic light with the program that the network gives it.
type Signal struct {
	ID      string
	Links   [][]*Link // by index; an index may control several links
	Program []ProgramPhase
	Offset  float64 // s
}

// ProgramPhase is a phase of the network's own program.
type ProgramPhase struct {
	Duration float64 // s
	MinDur   float64 // s, 0 where the network does not say
	MaxDur   float64 // s, 0 where the network does not say
	State    string  // a letter per link index
}

// Green reports whether the phase lets somebody drive without ending.
func (p ProgramPhase) Green() bool {
	return strings.ContainsAny(p.State, "gG") && !strings.ContainsAny(p.State, "yY")
}

// xml elements of a .net.xml file, as far as they are used.
type (
	xmlEdge struct {
		ID       string    `xml:"id,attr"`
		Function string    `xml:"function,attr"`
		Lanes    []xmlLane `xml:"lane"`
	}
	xmlLane struct {
		ID     string  `xml:"id,attr"`
		Length float64 `xml:"length,attr"`
		Speed  float64 `xml:"speed,attr"`
		Shape  string  `xml:"shape,attr"`
	}
	xmlLogic struct {
		ID     string     `xml:"id,attr"`
		Offset float64    `xml:"offset,attr"`
		Phases []xmlPhase `xml:"phase"`
	}
	xmlPhase struct {
		Duration float64 `xml:"duration,attr"`
		MinDur   float64 `xml:"minDur,attr"`
		MaxDur   float64 `xml:"maxDur,attr"`
		State    string  `xml:"state,attr"`
	}
	xmlConnection struct {
		From     string `xml:"from,attr"`
		To       string `xml:"to,attr"`
		FromLane int    `xml:"fromLane,attr"`
		ToLane   int    `xml:"toLane,attr"`
		Via      string `xml:"via,attr"`
		TL       string `xml:"tl,attr"`
		Index    *int   `xml:"linkIndex,attr"`
		Dir      string `xml:"dir,attr"`
	}
)

// ReadNetwork reads a .net.xml file. A file without signals is an error, for there
// is nothing to control.
func ReadNetwork(path string) (*Network, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("network: %w", err)
	}
	defer f.Close()
	hash := sha256.New()
	n := &Network{Path: path, Lanes: map[string]*Lane{}}
	if err := n.read(io.TeeReader(f, hash)); err != nil {
		return nil, fmt.Errorf("network %s: %w", path, err)
	}
	n.Hash = hex.EncodeToString(hash.Sum(nil))
	if len(n.Signals) == 0 {
		return nil, fmt.Errorf("network %s has no traffic lights: nothing can be controlled; make some with netconvert --tls.set", path)
	}
	return n, nil
}

func (n *Network) read(r io.Reader) error {
	var (
		connections []xmlConnection
		inside      = map[string]float64{} // length of the lanes inside junctions
		signals     = map[string]*Signal{}
		root        bool
	)
	for start, err := range elements(r) {
		if err != nil {
			return err
		}
		switch start.Name.Local {
		case "net":
			root = true
		case "edge":
			var e xmlEdge
			if err := start.decode(&e); err != nil {
				return err
			}
			for _, l := range e.Lanes {
				if e.Function == "internal" {
					inside[l.ID] = l.Length
					continue
				}
				shape, err := points(l.Shape)
				if err != nil {
					return fmt.Errorf("lane %s: %w", l.ID, err)
				}
				n.Lanes[l.ID] = &Lane{ID: l.ID, Edge: e.ID, Length: l.Length, Speed: l.Speed, Shape: shape}
			}
		case "junction":
			for _, a := range start.Attr {
				if a.Name.Local == "id" && n.junction == "" {
					n.junction = a.Value
				}
			}
		case "tlLogic":
			var l xmlLogic
			if err := start.decode(&l); err != nil {
				return err
			}
			if signals[l.ID] != nil {
				continue // the first program is the one that SUMO starts with
			}
			s := &Signal{ID: l.ID, Offset: l.Offset}
			for _, p := range l.Phases {
				s.Program = append(s.Program, ProgramPhase(p))
			}
			signals[l.ID] = s
			n.Signals = append(n.Signals, s)
		case "connection":
			var c xmlConnection
			if err := start.decode(&c); err != nil {
				return err
			}
			connections = append(connections, c)
		}
	}
	if !root {
		return errors.New("is not a SUMO network: it has no <net> element")
	}
	for _, c := range connections {
		if err := n.connect(c, signals, inside); err != nil {
			return err
		}
	}
	return n.checkStates()
}

func (n *Network) connect(c xmlConnection, signals map[string]*Signal, inside map[string]float64) error {
	if strings.HasPrefix(c.From, ":") {
		return nil
	}
	from, to := n.Lanes[c.From+"_"+strconv.Itoa(c.FromLane)], n.Lanes[c.To+"_"+strconv.Itoa(c.ToLane)]
	if from == nil || to == nil {
		return fmt.Errorf("connection from %s_%d to %s_%d names a lane that does not exist", c.From, c.FromLane, c.To, c.ToLane)
	}
	link := &Link{From: from, To: to, Dir: c.Dir, Index: -1, Length: inside[c.Via]}
	from.Out = append(from.Out, link)
	to.In = append(to.In, link)
	if c.TL == "" || c.Index == nil {
		return nil
	}
	s := signals[c.TL]
	if s == nil {
		return fmt.Errorf("connection from %s to %s is controlled by %s, which has no program", from.ID, to.ID, c.TL)
	}
	link.Signal, link.Index = s, *c.Index
	if *c.Index < 0 || *c.Index > 1000 {
		return fmt.Errorf("connection from %s to %s has link index %d", from.ID, to.ID, *c.Index)
	}
	for len(s.Links) <= *c.Index {
		s.Links = append(s.Links, nil)
	}
	s.Links[*c.Index] = append(s.Links[*c.Index], link)
	return nil
}

// checkStates makes sure that every state has a letter for each link.
func (n *Network) checkStates() error {
	for _, s := range n.Signals {
		for i, p := range s.Program {
			if len(p.State) < len(s.Links) {
				return fmt.Errorf("traffic light %s: phase %d has %d letters for %d links", s.ID, i, len(p.State), len(s.Links))
			}
		}
	}
	return nil
}

func points(shape string) ([]Point, error) {
	var list []Point
	for _, pair := range strings.Fields(shape) {
		parts := strings.Split(pair, ",")
		if len(parts) < 2 {
			return nil, fmt.Errorf("shape %q is not a list of x,y", pair)
		}
		x, err := strconv.ParseFloat(parts[0], 64)
		if err != nil {
			return nil, fmt.Errorf("shape %q: %w", pair, err)
		}
		y, err := strconv.ParseFloat(parts[1], 64)
		if err != nil {
			return nil, fmt.Errorf("shape %q: %w", pair, err)
		}
		list = append(list, Point{x, y})
	}
	return list, nil
}
