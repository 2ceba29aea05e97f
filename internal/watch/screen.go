package watch

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"

	"github.com/greenwave-traffic/greenwave/internal/words"
)

// style is how text is set off. Every colour stands beside a word or a shape that says
// the same.
type style struct{ Colour bool }

const (
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	amber  = "\x1b[33m"
	blue   = "\x1b[94m"
	grey   = "\x1b[90m"
	strong = "\x1b[1m"
	invert = "\x1b[7m"
	plain  = "\x1b[0m"
)

// paint colours a text. Bold and inverted are no colours: they stay without.
func (st style) paint(how, s string) string {
	if s == "" || how == "" || !st.Colour && how != strong && how != invert {
		return s
	}
	return how + s + plain
}

// Page is what the screen shows.
type Page int

// The pages.
const (
	PageList Page = iota
	PageOverview
	PageIntersections
	PageAlerts
)

// Screen is everything that is drawn. Draw is a function of it.
type Screen struct {
	News
	Source string
	Loaded bool // the source has answered once, or has said why not
	Page   Page
	Help   bool
	Cursor int    // line of the list
	Chosen string // experiment of the other pages
	Scroll int    // first line of the pages that scroll
	Width  int
	Height int
	Now    time.Time
	Colour bool
}

const (
	leastWidth  = 40
	leastHeight = 10
)

// Draw returns as many lines as the screen is high, none wider than it.
func (s *Screen) Draw() []string {
	st := style{s.Colour}
	var lines []string
	switch {
	case s.Width < leastWidth || s.Height < leastHeight:
		lines = []string{fmt.Sprintf("%d×%d is too small:", s.Width, s.Height), fmt.Sprintf("at least %d×%d", leastWidth, leastHeight), "q quits"}
	default:
		lines = s.whole(st)
	}
	out := make([]string, max(s.Height, 0))
	for i := range out {
		if i < len(lines) {
			out[i] = words.Clip(lines[i], s.Width)
		}
	}
	return out
}

func (s *Screen) whole(st style) []string {
	body := s.Height - 2 // title and keys
	banner := s.banner(st)
	body -= len(banner)
	var lines []string
	switch {
	case s.Help:
		lines = help(st)
	case !s.Loaded:
		lines = []string{"", "  reading " + words.Visible(s.Source) + " …"}
	case s.Page == PageList:
		lines = s.list(st, body)
	case s.Gone:
		lines = []string{"", "  " + words.Visible(s.Chosen) + " is not there (any more).", "  esc goes back to the list."}
	case s.Detail == nil:
		lines = []string{"", "  reading " + words.Visible(s.Chosen) + " …"}
	case s.Page == PageIntersections:
		lines = s.scrolled(s.intersections(st), body)
	case s.Page == PageAlerts:
		lines = s.scrolled(s.alerts(st), body)
	default:
		lines = s.overview(st, body)
	}
	for len(lines) < body {
		lines = append(lines, "")
	}
	return append(append(append([]string{s.title(st)}, lines[:body]...), banner...), s.keys(st))
}

// banner says that the source does not answer.
func (s *Screen) banner(st style) []string {
	if s.Err == nil {
		return nil
	}
	text := fmt.Sprintf(" ! no answer for %s, trying again. %s", words.Ago(s.Now, s.Since), words.Visible(oneLine(s.Err.Error())))
	if s.List != nil {
		text = fmt.Sprintf(" ! no answer for %s, trying again; shown is what was there. %s", words.Ago(s.Now, s.Since), words.Visible(oneLine(s.Err.Error())))
	}
	return []string{st.paint(invert, words.Pad(text, s.Width))}
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// between puts one text at the left and one at the right end.
func between(left, right string, w int) string {
	room := w - words.Columns(right) - 1
	if room < 8 {
		return words.Clip(left, w)
	}
	return words.Pad(left, room) + " " + right
}

func (s *Screen) title(st style) string {
	source := words.ClipLeft(words.Visible(s.Source), max(12, s.Width/3))
	if s.Page == PageList || s.Help {
		running := 0
		for _, e := range s.List {
			if e.Status == "running" {
				running++
			}
		}
		count := ""
		if s.Loaded {
			count = fmt.Sprintf("%s, %d running", words.Of(len(s.List), "experiment"), running)
		}
		return between(st.paint(strong, "greenwave watch")+"  "+st.paint(grey, source), count, s.Width)
	}
	left := st.paint(strong, name(s.Chosen, max(16, s.Width-44)))
	if s.Detail == nil {
		return between(left, source, s.Width)
	}
	symbol, colour := mark(s.Detail.Status)
	right := st.paint(colour, symbol+" "+s.Detail.Status)
	if far := progress(s.Detail); words.Columns(left)+words.Columns(right)+words.Columns(far) < s.Width {
		right += far
	}
	return between(left, right, s.Width)
}

// name is an experiment's name in at most w columns. Behind letters that run from
// right to left a mark keeps the rest of the line in its place.
func name(n string, w int) string {
	n = words.Clip(words.Visible(n), w)
	for _, r := range n {
		if unicode.In(r, unicode.Hebrew, unicode.Arabic, unicode.Syriac, unicode.Thaana, unicode.Nko) {
			return n + "\u200e"
		}
	}
	return n
}

func mark(status string) (symbol, colour string) {
	switch status {
	case "running":
		return "▶", blue
	case "completed":
		return "✓", green
	case "failed":
		return "✕", red
	case "paused":
		return "‖", amber
	}
	return "■", amber
}

// progress says how far a training is and how long it will take.
func progress(d *Detail) string {
	text := fmt.Sprintf(" · episode %s", words.Count(d.Episodes))
	if d.Planned <= 0 {
		return text
	}
	text += fmt.Sprintf(" of %s", words.Count(d.Planned))
	if left := d.Planned - d.Episodes; d.Status == "running" && left > 0 && d.Pace > 0 {
		text += " · " + words.Duration(time.Duration(float64(left)*d.Pace*float64(time.Second))) + " left"
	}
	return text
}

func (s *Screen) keys(st style) string {
	var keys string
	switch {
	case s.Help:
		keys = "any key goes back"
	case s.Page == PageList:
		keys = "↑↓ choose   enter open   ? help   q quit"
	default:
		keys = "1 overview  2 intersections  3 alerts  ←→ other experiment  esc list  ? help  q quit"
		if s.Width < words.Columns(keys) {
			keys = "1 2 3 pages  ←→ other experiment  esc list  ? help  q quit"
		}
	}
	return st.paint(grey, words.Clip(keys, s.Width))
}

func help(st style) []string {
	lines := []string{"", st.paint(strong, "  Is it alive? Is it getting better? Is the data safe?"), ""}
	for _, l := range [][2]string{
		{"↑ ↓  k j", "choose in the list; scroll intersections and alerts"},
		{"enter", "open an experiment"},
		{"esc  backspace", "back to the list"},
		{"← →  h l", "the experiment before, the one behind"},
		{"1  2  3  tab", "overview, intersections, alerts"},
		{"home end  g G", "first, last"},
		{"q  ctrl+c", "quit"},
	} {
		lines = append(lines, "  "+words.Pad(l[0], 18)+l[1])
	}
	return append(lines, "",
		"  ⠂⠄⠂ single dots are episodes, the line is their moving mean.",
		"  data: what a database has confirmed; the rest is safe in the journal.")
}

// list is the list of experiments.
func (s *Screen) list(st style, h int) []string {
	if len(s.List) == 0 {
		if s.Err != nil {
			return nil
		}
		return []string{"", "  No experiments yet in " + words.Visible(s.Source) + ".", "",
			"  greenwave demo trains a small one in two minutes; what begins to record here", "  is shown at once."}
	}
	// What there is room for, beside a name of some length.
	w := s.Width
	wide, roomy := w >= 100, w >= 66
	widths := []int{2, 0, 9, 12, 9, 7, 7, 11} // mark, name, episodes, reward, latest, wait, last, data
	if wide {
		widths[3] = 20
	}
	if !roomy {
		widths[3], widths[5], widths[6] = 0, 0, 0
	}
	rest := w
	for i, n := range widths {
		rest -= n
		if n > 0 && i > 0 {
			rest--
		}
	}
	widths[1] = min(rest-1, 60)
	row := func(cells ...string) string {
		var b strings.Builder
		for i, c := range cells {
			switch {
			case widths[i] == 0:
				continue
			case i == 0:
			default:
				b.WriteByte(' ')
			}
			if i == 2 || i == 4 || i == 5 || i == 6 {
				b.WriteString(words.PadLeft(c, widths[i]))
			} else {
				b.WriteString(words.Pad(c, widths[i]))
			}
		}
		return b.String()
	}
	lines := []string{st.paint(grey, row("", "experiment", "episodes", "reward", "latest", "wait s", "last", "data"))}
	top := 0
	if room := h - 1; len(s.List) > room {
		top = min(max(0, s.Cursor-room/2), len(s.List)-room)
	}
	for i := top; i < len(s.List) && len(lines) < h; i++ {
		e := &s.List[i]
		symbol, colour := mark(e.Status)
		episodes := words.Count(e.Episodes)
		if e.Planned > 0 {
			episodes = fmt.Sprintf("%d/%d", e.Episodes, e.Planned)
		}
		data, dataColour := dataCell(&e.Data)
		cells := []string{" " + symbol, name(e.Name, widths[1]), episodes, sparkline(e.Spark, widths[3]), words.Optional(e.Latest), words.Optional(e.Waiting), words.Ago(s.Now, e.LastRecord), data}
		if i == s.Cursor {
			cells[0] = "›" + symbol
			lines = append(lines, st.paint(invert, words.Pad(row(cells...), w)))
			continue
		}
		cells[0], cells[7] = " "+st.paint(colour, symbol), st.paint(dataColour, data)
		lines = append(lines, row(cells...))
	}
	return lines
}

// dataCell says in few words where the data is.
func dataCell(d *Data) (text, colour string) {
	switch {
	case d.Dead > 0:
		return "✕ " + words.Count(d.Dead) + " dead", red
	case d.Damage > 0:
		return "✕ damaged", red
	case d.Foreign:
		return "log file", ""
	case d.Never:
		return "in journal", ""
	case d.Waiting > 0:
		return "… " + words.Count(d.Waiting), amber
	}
	return "✓ all", green
}

// scrolled is a stretch of lines that do not all fit.
func (s *Screen) scrolled(lines []string, h int) []string {
	s.Scroll = max(0, min(s.Scroll, len(lines)-h))
	below := len(lines) - h - s.Scroll
	lines = lines[s.Scroll:]
	if below > 0 && h > 1 {
		lines = append(lines[:h-1:h-1], fmt.Sprintf("  ↓ %d more", below+1))
	}
	return lines
}

// last returns the last number that is there, and the mean of those n before the last
// n of which it is the mean.
func last(means []float64, n int) (now, before float64) {
	now, before = math.NaN(), math.NaN()
	seen := 0
	for i := len(means) - 1; i >= 0; i-- {
		if math.IsNaN(means[i]) {
			continue
		}
		if seen == 0 {
			now = means[i]
		}
		if seen == n {
			return now, means[i]
		}
		seen++
	}
	return now, before
}
