package report

import (
	"fmt"

	"github.com/greenwave-traffic/greenwave/internal/analysis"
	"github.com/greenwave-traffic/greenwave/internal/comparison"
)

// city is the page for the people who decide about signals.
func (f *Findings) city() []Block {
	c := f.City
	a, b := arms(&comparison.Pair{A: c.A, B: c.B})
	blocks := []Block{Text(fmt.Sprintf(
		"What drivers and passengers would notice if %s ran the signals in place of %s, as far as %s of demand and chance that were simulated with both can show it.", a, b, of(c.Pairs, "pair")))}
	table := Table{Columns: []string{"", ">" + clip(b, 16), ">" + clip(a, 16), ">difference", "95 % interval", "verdict"}}
	for i := range c.Rows {
		d := &c.Rows[i]
		table.Rows = append(table.Rows, []string{label(d.Metric), num(d.Test.MeanB), num(d.Test.MeanA), signed(d.Test.Mean), interval(d.Test.Interval[0], d.Test.Interval[1]), d.Verdict})
	}
	if c.Level != nil {
		table.Rows = append(table.Rows, []string{"HCM level", c.Level[1].String(), c.Level[0].String(), "", "", ""})
	}
	table.Notes = append(table.Notes, "Verdicts are after correction for all tests of the report. Not shown: no difference was shown, which is not the same as none.")
	blocks = append(blocks, table)
	if c.Level != nil {
		blocks = append(blocks, Text(service(c.Signals)))
	}
	if c.Backlog != nil && max(c.Backlog[0], c.Backlog[1]) >= 0.5 {
		blocks = append(blocks, Text(fmt.Sprintf("Not all traffic could enter: at the end %s vehicles on average were still waiting outside the network under %s, %s under %s. Their waiting is in the full delay.", num(c.Backlog[1]), b, num(c.Backlog[0]), a)))
	}
	blocks = append(blocks, f.saved()...)
	return append(blocks, Text("What is not known:"), List{
		"Everything here is simulated with SUMO; nothing was measured on the street.",
		f.simulated(),
		"Pedestrians, emergency vehicles, and drivers who ignore the signals are part of it only as far as the network and the demand have them.",
		"Traffic may grow, or choose other ways, where it flows better; that is not modelled.",
		"Whether the controllers on site can show these phases at these times, and what happens when a detector fails, has to be found out before a trial.",
	})
}

// service explains the level of service: what it is by, and why it is a range.
func service(signals int) string {
	text := "The Highway Capacity Manual (6th edition, exhibit 19-8) gives a signalised junction the level A for a mean control delay up to 10 s, B up to 20 s, C up to 35 s, D up to 55 s, E up to 80 s, and F beyond. "
	if signals == 1 {
		text += "The network has one signal, so the full delay of a vehicle stands for its control delay."
	} else {
		text += fmt.Sprintf("What was measured is the delay of a vehicle on its whole way past up to %d signals: the first letter is that of one junction if vehicles passed all of them, the last if they passed one.", signals)
	}
	return text + " Time lost between junctions is in it, which makes it look worse; what vehicles that were still under way at the end had yet to wait is not, which makes it look better. It is a mean over all approaches and scenarios; the manual's own analysis is of each lane group in the busiest quarter of an hour, and calls F also what is asked to carry more than it can."
}

// saved turns seconds into hours a day.
func (f *Findings) saved() []Block {
	c := f.City
	if len(c.Saved) == 0 {
		return nil
	}
	table := Table{
		Columns: []string{"saved", ">in an hour", "95 % interval", ">a day", "95 % interval"},
		Notes: []string{fmt.Sprintf("A day is taken to have %g hours of such traffic (--hours says how many); what the other hours save is not known. Below 0 it costs. The delay of all vehicles that entered or wanted to in the simulated time, each with its passengers, is compared pair by pair.",
			f.Hours)},
	}
	for _, s := range c.Saved {
		t := &s.Test
		table.Rows = append(table.Rows, []string{
			s.What, num(t.Mean), interval(t.Interval[0], t.Interval[1]), num(t.Mean * f.Hours), interval(t.Interval[0]*f.Hours, t.Interval[1]*f.Hours),
		})
		if t.P >= analysis.Alpha {
			table.Notes = append(table.Notes, fmt.Sprintf("No difference in %s was shown (p = %s): this may as well be chance.", s.What, probability(t.P)))
		}
	}
	return []Block{table}
}

// simulated says what the pairs were.
func (f *Findings) simulated() string {
	text := of(f.City.Pairs, "pair") + " of scenario and seed were simulated"
	if f.City.Horizon > 0 {
		text += fmt.Sprintf(", each for %g s", f.City.Horizon)
	}
	return text + "; other days, longer times, weather, incidents and events were not."
}
