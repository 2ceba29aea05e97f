package watch

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
)

// model is the screen as bubbletea wants it: keys and news change it, nothing else.
type model struct {
	Screen
	choose func(string)
	now    func() time.Time
}

// tick redraws ages when there is no news.
type tick struct{}

func everySecond() tea.Cmd { return tea.Tick(time.Second, func(time.Time) tea.Msg { return tick{} }) }

// Init begins to count seconds.
func (m *model) Init() tea.Cmd { return everySecond() }

// Update takes a key, a size or news.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	m.Now = m.now()
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.Width, m.Height = msg.Width, msg.Height
	case News:
		m.take(msg)
	case tick:
		return m, everySecond()
	case tea.KeyPressMsg:
		return m, m.key(msg.String())
	}
	return m, nil
}

// View draws the screen.
func (m *model) View() tea.View {
	v := tea.NewView(strings.Join(m.Draw(), "\n"))
	v.AltScreen = true
	v.WindowTitle = "greenwave watch"
	return v
}

// take keeps the cursor on the experiment that it was on.
func (m *model) take(n News) {
	at := ""
	if m.Cursor < len(m.List) {
		at = m.List[m.Cursor].Name
	}
	if n.Detail != nil && n.Detail.Name != m.Chosen {
		n.Detail = nil // of the one that was shown before
	}
	m.News, m.Loaded = n, true
	if i := m.index(at); i >= 0 {
		m.Cursor = i
	}
	m.Cursor = max(0, min(m.Cursor, len(m.List)-1))
}

func (m *model) index(name string) int {
	return slices.IndexFunc(m.List, func(e Experiment) bool { return e.Name == name })
}

func (m *model) key(key string) tea.Cmd {
	if key == "ctrl+c" || key == "q" {
		return tea.Quit
	}
	if m.Help {
		m.Help = false
		return nil
	}
	if key == "?" {
		m.Help = true
		return nil
	}
	if m.Page == PageList {
		m.listKey(key)
		return nil
	}
	switch key {
	case "esc", "backspace":
		if i := m.index(m.Chosen); i >= 0 {
			m.Cursor = i
		}
		m.open("", PageList)
	case "1":
		m.Page, m.Scroll = PageOverview, 0
	case "2":
		m.Page, m.Scroll = PageIntersections, 0
	case "3":
		m.Page, m.Scroll = PageAlerts, 0
	case "tab":
		m.Page, m.Scroll = PageOverview+m.Page%PageAlerts, 0
	case "left", "h":
		m.neighbour(-1)
	case "right", "l":
		m.neighbour(1)
	default:
		m.Scroll = m.moved(key, m.Scroll, 1<<20) // drawing stops at the last
	}
	m.Scroll = max(m.Scroll, 0)
	return nil
}

// moved is where a key that moves up or down leads to from a line; end is the last.
func (m *model) moved(key string, at, end int) int {
	switch key {
	case "down", "j":
		return at + 1
	case "up", "k":
		return at - 1
	case "pgdown", "space":
		return at + m.Height - 4
	case "pgup":
		return at - (m.Height - 4)
	case "home", "g":
		return 0
	case "end", "G":
		return end
	}
	return at
}

func (m *model) listKey(key string) {
	if key == "enter" && m.Cursor < len(m.List) {
		m.open(m.List[m.Cursor].Name, PageOverview)
	}
	m.Cursor = m.moved(key, m.Cursor, len(m.List))
	m.Cursor = max(0, min(m.Cursor, len(m.List)-1))
}

// open shows a page of an experiment.
func (m *model) open(name string, page Page) {
	if name != m.Chosen {
		m.Detail, m.Gone = nil, false
	}
	m.Chosen, m.Page, m.Scroll = name, page, 0
	m.choose(name)
}

// neighbour opens the experiment by so many lines further in the list.
func (m *model) neighbour(by int) {
	if i := m.index(m.Chosen); i >= 0 && i+by >= 0 && i+by < len(m.List) {
		m.open(m.List[i+by].Name, m.Page)
	}
}

// Terminal is where Run draws.
type Terminal struct {
	In     io.Reader
	Out    io.Writer
	Colour bool
	Env    []string // of the terminal: TERM and the like
}

// Run draws on a terminal until somebody quits or ctx ends. With an experiment it opens
// that one.
func Run(ctx context.Context, src Source, experiment string, t Terminal) error {
	f := NewFollower(src, nil)
	m := &model{Screen: Screen{Source: src.Name(), Colour: t.Colour, Now: time.Now()}, choose: f.Choose, now: time.Now}
	if experiment != "" {
		m.Chosen, m.Page = experiment, PageOverview
		f.Choose(experiment)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := tea.NewProgram(m, tea.WithContext(ctx), tea.WithInput(t.In), tea.WithOutput(t.Out), tea.WithEnvironment(t.Env), tea.WithFPS(20), tea.WithoutSignalHandler())
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		f.Run(ctx, func(n News) { p.Send(n) })
	}()
	_, err := p.Run()
	cancel()
	<-followed
	if errors.Is(err, tea.ErrProgramKilled) && context.Cause(ctx) != nil && !errors.Is(err, tea.ErrProgramPanic) {
		return nil // asked to end by a signal: the terminal is as it was
	}
	return err
}
