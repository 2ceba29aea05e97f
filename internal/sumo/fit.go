package sumo

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// Fits checks before anything runs what SUMO finds out when it comes to a vehicle: that
// the network has the edges of a demand file's routes, trips and flows, and the ways
// between those that follow each other. Compressed files are left to SUMO.
func (n *Network) Fits(demand string) error {
	if strings.HasSuffix(demand, ".gz") {
		return nil
	}
	f, err := os.Open(demand)
	if err != nil {
		return fmt.Errorf("demand: %w", err)
	}
	defer f.Close()
	if err := n.fits(f); err != nil {
		return fmt.Errorf("demand %s does not fit the network %s: %w", demand, n.Path, err)
	}
	return nil
}

func (n *Network) fits(r io.Reader) error {
	next := map[string]map[string]bool{} // by edge: those that can follow
	for _, l := range n.Lanes {
		if next[l.Edge] == nil {
			next[l.Edge] = map[string]bool{}
		}
		for _, link := range l.Out {
			next[l.Edge][link.To.Edge] = true
		}
	}
	for start, err := range elements(r) {
		if err != nil {
			return err
		}
		switch start.Name.Local {
		case "route", "vehicle", "trip", "flow":
		default:
			continue
		}
		for _, a := range start.Attr {
			switch a.Name.Local {
			case "edges", "from", "to", "via":
			default:
				continue
			}
			before := ""
			for edge := range strings.FieldsSeq(a.Value) {
				switch {
				case next[edge] == nil:
					return fmt.Errorf("line %d: %s names the edge %q, which the network does not have", start.line(), start.Name.Local, edge)
				case a.Name.Local == "edges" && before != "" && before != edge && !next[before][edge]:
					return fmt.Errorf("line %d: no connection leads from edge %q to edge %q", start.line(), before, edge)
				}
				before = edge
			}
		}
	}
	return nil
}
