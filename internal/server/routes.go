package server

import (
	"net/http"

	"github.com/greenwave-traffic/greenwave/internal/doctor"
	"github.com/greenwave-traffic/greenwave/internal/wire"
	"github.com/greenwave-traffic/greenwave/record"
)

// Route is one thing that can be asked for.
type Route struct {
	Method, Path string
	Summary      string  // one sentence, for the OpenAPI document
	Params       []Param // of the query; those of the path are known by their names
	Body         any     // a value of the type of the JSON body; nil: none
	BodyType     string  // of a body that is not JSON
	Result       any     // a value of the type of the JSON answer; nil: no content, or ResultType
	ResultType   string  // of an answer that is not JSON
	Rows         record.Kind
	Stream       bool // the answer does not end by itself
	AnyQuery     bool // parameters that it does not have are passed over: what asks for health and metrics may add to the address

	handler func(http.ResponseWriter, *http.Request) error
}

// Param is a parameter of a query.
type Param struct {
	Name, Type, Doc string
	OneOf           []string
	Required        bool
}

func page(usual, most string) []Param {
	return []Param{
		{Name: "limit", Type: "integer", Doc: "Rows of a page, from 1 to " + most + "; " + usual + " unless it is given."},
		{Name: "cursor", Type: "string", Doc: "next of the page before. It belongs to the query that gave it."},
	}
}

var (
	columnsParam = Param{Name: "columns", Type: "string", Doc: "Names of columns, with commas between them; all unless it is given. The key is always there."}
	ofRuns       = Param{Name: "runs", Type: "string", Doc: "UUIDs of runs, with commas between them or repeated; at most 500."}
	ofExperiment = Param{Name: "experiment", Type: "string", Doc: "Only of this experiment, by name or id."}
	newestParam  = Param{Name: "newest", Type: "boolean", Doc: "From the last to the first."}
	afterParam   = Param{Name: "after", Type: "string", Doc: "Only rows behind this episode (12), for steps with the step behind a point (12.3)."}
)

func seriesParams(more ...Param) []Param {
	return append(more,
		Param{Name: "x", Type: "string", OneOf: []string{"episode", "time", "step"}, Doc: "The axis: number of the episode, when it ended (seconds since 1970), or steps since the training began."},
		Param{Name: "points", Type: "integer", Doc: "Thin to about so many rows, from 4 to 100000; 2000 unless it is given. Minima, maxima and gaps stay."},
		Param{Name: "smooth", Type: "integer", Doc: "Add for each column its mean over so many episodes, from 1 to 1000, as NAME~mean."},
		Param{Name: "digits", Type: "integer", Doc: "Round values to so many significant digits, from 1 to 17; exact unless it is given."},
		Param{Name: "after", Type: "integer", Doc: "Only episodes behind this number."},
		Param{Name: "until", Type: "integer", Doc: "Only episodes up to and with this number."})
}

// routes lists everything that can be asked for.
func (s *Server) routes() []Route {
	const api = "/api/v1"
	rows := func(path string, kind record.Kind, summary string, params ...Param) Route {
		return Route{Method: "GET", Path: api + path, Summary: summary, Params: append(params, append(page("100", "10000"), columnsParam)...), Rows: kind, handler: s.rowsHandler(kind)}
	}
	all := func(path string, kind record.Kind, summary string) Route {
		return Route{Method: "GET", Path: api + path, Summary: summary, Params: append(page("1000", "10000"), columnsParam), Rows: kind, handler: s.allHandler(kind)}
	}
	return []Route{
		{Method: "GET", Path: api + "/health", Summary: "Whether the server lives: always 200, and whether the database answers.", Result: Health{}, AnyQuery: true, handler: s.health},
		{Method: "GET", Path: api + "/ready", Summary: "Whether the server can answer: 503 while the database does not.", Result: Health{}, AnyQuery: true, handler: s.ready},
		{Method: "GET", Path: api + "/openapi.json", Summary: "This document.", ResultType: "application/json", handler: s.openAPI},
		{Method: "POST", Path: api + "/login", Summary: "Give a browser the cookie for a token, or for a session of a Supabase user by e-mail and password.", Body: Login{}, handler: s.login},
		{Method: "GET", Path: api + "/session", Summary: "How one may log in, and who is logged in.", Result: Ways{}, handler: s.ways},
		{Method: "POST", Path: api + "/logout", Summary: "Take the cookies away and end the session.", handler: s.logout},

		{Method: "GET", Path: api + "/experiments", Summary: "Experiments, with a sparkline of their rewards.", Result: Listing{}, Params: append(page("50", "500"),
			Param{Name: "q", Type: "string", Doc: "Only those with this text in name or description."},
			Param{Name: "status", Type: "string", OneOf: []string{"running", "paused", "completed", "failed", "interrupted"}, Doc: "Only those in this state."},
			Param{Name: "group", Type: "string", Doc: "Only those of this group (metadata.group)."},
			Param{Name: "tag", Type: "string", Doc: "Only those with this tag (metadata.tags)."},
			Param{Name: "sort", Type: "string", OneOf: []string{"created", "name", "status", "group", "episodes", "best", "latest", "last"}, Doc: "The order: created (newest first) unless it is given; numbers from the largest, names from A."},
			Param{Name: "reverse", Type: "boolean", Doc: "The other way round."}), handler: s.listExperiments},
		{Method: "GET", Path: api + "/experiments/{experiment}", Summary: "One experiment, by name or id, with its configuration and its runs.", Result: Detail{}, handler: s.showExperiment},
		{Method: "GET", Path: api + "/experiments/{experiment}/series", Summary: "Columns over the episodes, thinned for drawing.", Result: Columns{},
			Params: seriesParams(Param{Name: "columns", Type: "string", Doc: "Columns of episodes that hold numbers, or members such as reward_components.delay and extra.full_delay, with commas between them; total_reward unless it is given."}), handler: s.showSeries},
		rows("/experiments/{experiment}/episodes", record.KindEpisode, "Episodes by number.", newestParam, afterParam),
		rows("/experiments/{experiment}/episodes/{episode}", record.KindEpisode, "One episode, as a page of one row."),
		rows("/experiments/{experiment}/steps", record.KindStep, "Steps by episode and number.", newestParam, afterParam),
		rows("/experiments/{experiment}/episodes/{episode}/steps", record.KindStep, "Steps of an episode.", newestParam, afterParam),
		{Method: "GET", Path: api + "/experiments/{experiment}/actions", Summary: "How often each intersection chose each action in the latest episodes that have steps.", Result: Actions{},
			Params: []Param{{Name: "last", Type: "integer", Doc: "How many episodes, from 1 to 1000; 10 unless it is given. At most 20,000 steps are read."}}, handler: s.showActions},
		all("/experiments/{experiment}/checkpoints", record.KindCheckpoint, "Saved models."),
		all("/experiments/{experiment}/validations", record.KindValidation, "Policies on held-out scenarios."),
		all("/experiments/{experiment}/baselines", record.KindBaseline, "Comparisons with controllers that are not trained."),
		all("/experiments/{experiment}/resources", record.KindResource, "What the trainer's process and its host used, every 10 s."),
		{Method: "GET", Path: api + "/experiments/{experiment}/network", Summary: "The road network to draw; no content where this machine has none (serve --net FILE).", Result: Network{}, handler: s.showNetwork},

		{Method: "GET", Path: api + "/compare", Summary: "One metric of several experiments.", Result: Curves{}, Params: seriesParams(
			Param{Name: "experiments", Type: "string", Required: true, Doc: "Names or ids, with commas between them or repeated; at most 200."},
			Param{Name: "metric", Type: "string", Doc: "A column as in series; total_reward unless it is given."}), handler: s.compare},
		{Method: "GET", Path: api + "/compare/tests", Summary: "What greenwave compare says: the tests of experiments pair by pair, with tests, effects, intervals and verdicts, or why they are not compared.", Result: Compared{}, Params: []Param{
			{Name: "experiments", Type: "string", Required: true, Doc: "Names or ids, NAME@EPISODE for the test of a checkpoint, NAME:BASELINE for a baseline of its test, with commas between them or repeated. The first is compared with each other; one alone with its baselines."},
			{Name: "baseline", Type: "string", Doc: "Compare each experiment with these baselines of its own test."},
			{Name: "metrics", Type: "string", Doc: "Members of traffic_metrics, or total_reward, with commas between them; all that have a better direction unless it is given. p-values are corrected over them."},
			{Name: "force", Type: "boolean", Doc: "Compare although the conditions differ; unlike then says what does."}}, handler: s.judge},
		{Method: "GET", Path: api + "/analytics", Summary: "The view performance_analytics.", Result: AnalyticsList{}, Params: []Param{ofExperiment}, handler: s.analytics},
		{Method: "GET", Path: api + "/runs", Summary: "Processes that wrote to experiments, and imported files, newest first.", Result: Runs{}, Params: append(page("100", "1000"), ofExperiment), handler: s.listRuns},
		{Method: "GET", Path: api + "/states", Summary: "What the database has confirmed of some runs; unknown ones are left out.", Result: wire.States{}, Params: []Param{{Name: ofRuns.Name, Type: ofRuns.Type, Required: true, Doc: ofRuns.Doc}}, handler: s.listStates},
		{Method: "GET", Path: api + "/dead-letters", Summary: "Records that the database does not hold, with the reason.", Result: wire.DeadLetters{}, Params: append(page("100", "10000"), ofExperiment, ofRuns), handler: s.listDeadLetters},
		{Method: "GET", Path: api + "/alerts", Summary: "Alerts, newest first.", Result: Alerts{}, Params: []Param{page("100", "1000")[0], ofExperiment, {Name: "open", Type: "boolean", Doc: "Only those that are not resolved."}}, handler: s.listAlerts},
		{Method: "POST", Path: api + "/alerts/{alert}/silence", Summary: "Send nothing about an alert for some hours.", Body: Silencing{}, handler: s.silenceAlert},
		{Method: "GET", Path: api + "/system", Summary: "The pipeline from journals to readers: rates, lags, sizes.", Result: System{}, handler: s.system},
		{Method: "GET", Path: api + "/doctor", Summary: "The checks of the deployment checklist that a server can make, no older than a minute. It needs a token for all experiments that is nobody's own.", Result: doctor.Examination{},
			Params: []Param{{Name: "phase", Type: "string", OneOf: []string{"before", "during", "after"}, Doc: "Only this part of the checklist; all unless it is given."}}, handler: s.showExamination},

		{Method: "POST", Path: api + "/records", Summary: "Store records of a run: lines of a journal, plain, gzip or zstd. A body that cannot be read is refused whole; of one that can, each record is stored, superseded or refused, and what was sent before is known again.",
			BodyType: "application/x-ndjson", Body: wire.Line{}, Result: wire.Receipt{}, Params: []Param{
				{Name: "run", Type: "string", Doc: "UUID of the run, unless the first line is its header."},
				{Name: "experiment", Type: "string", Doc: "Name of the experiment, unless the first line is the run's header."},
				{Name: "from", Type: "integer", Doc: "The run's cursor as the sender knows it: when it is another, nothing is stored and the answer is 409. One record that is refused refuses the body then."},
				{Name: "to", Type: "integer", Doc: "With from: the last record that the body settles. Those that are not in it the sender does not have."},
				{Name: "experiment_id", Type: "string", Doc: "UUID of the experiment, of a run whose header was sent before: it is not sent again."},
				{Name: "brief", Type: "boolean", Doc: "Answer with counts, not for each record."},
				{Name: "restore", Type: "boolean", Doc: "Make the experiment again when it was deleted."},
				{Name: "replay", Type: "boolean", Doc: "The records were dead letters: try them again."},
			}, handler: s.takeRecords},
		{Method: "POST", Path: api + "/runs/{run}/interrupted", Summary: "Say that a run has no process any more.", Body: wire.Silence{}, handler: s.markInterrupted},
		{Method: "GET", Path: api + "/events", Summary: "Server-sent events: which experiments change. Last-Event-ID goes on where a stream was cut off.", ResultType: "text/event-stream", Params: []Param{ofExperiment}, Stream: true, handler: s.events},
		{Method: "GET", Path: "/health", Summary: "The same as /api/v1/health, where load balancers look.", Result: Health{}, AnyQuery: true, handler: s.health},
		{Method: "GET", Path: "/ready", Summary: "The same as /api/v1/ready.", Result: Health{}, AnyQuery: true, handler: s.ready},
		{Method: "GET", Path: "/metrics", Summary: "Metrics for Prometheus.", ResultType: "text/plain", AnyQuery: true, handler: s.metrics},
	}
}
