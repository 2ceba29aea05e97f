package main

import "github.com/alecthomas/kong"

// cli is the command line. Its names are an interface: users script them.
type cli struct {
	DB     string `name:"db" placeholder:"URL" help:"Database: postgres://USER@HOST/DATABASE or sqlite:PATH. Default: what the environment or database_config.json says, else sqlite:greenwave.db."`
	Config string `placeholder:"PATH" help:"Configuration file (JSON) instead of database_config.json."`
	JSON   bool   `name:"json" help:"Print JSON for machines."`

	Import importCmd `cmd:"" group:"record" help:"Import logs that other loggers wrote: folders, _episodes.jsonl, _steps.jsonl and results files."`
	Sync   syncCmd   `cmd:"" group:"record" help:"Carry the journals below a folder to the database, exactly once."`
	Status statusCmd `cmd:"" group:"record" help:"Show for each run what is logged, durable, synced, dead and missing."`
	Verify verifyCmd `cmd:"" group:"record" help:"Compare journals with the database row by row, and check the chain of segments."`

	Inspect    inspectCmd    `cmd:"" group:"record" help:"Show what a segment of a journal, or a whole run, holds."`
	Deadletter deadletterCmd `cmd:"" group:"record" help:"List records that the database refused, or try them again."`

	Train    trainCmd    `cmd:"" group:"simulate" help:"Train a dueling double deep Q-network on a SUMO network and compare it with controllers that are not trained."`
	Evaluate evaluateCmd `cmd:"" group:"simulate" help:"Measure signal controllers on a SUMO network over the same seconds of the same traffic."`

	Experiments experimentsCmd     `cmd:"" group:"ask" help:"List the experiments in the database."`
	Show        showCmd            `cmd:"" group:"ask" help:"Show one experiment with its runs and results."`
	Compare     compareCmd         `cmd:"" group:"ask" help:"Compare controllers pair by pair, with the test that fits the data."`
	Report      reportCmd          `cmd:"" group:"ask" help:"Write the report of an experiment: learning, test, figures, and a page for the city."`
	Hyper       hyperparametersCmd `cmd:"" name:"hyperparameters" group:"ask" help:"Say which hyperparameters mattered over a set of experiments."`
	Provenance  provenanceCmd      `cmd:"" group:"ask" help:"Say where the numbers of an experiment come from: rows, journal, chain, commit, configuration."`
	Query       queryCmd           `cmd:"" group:"ask" help:"Run one SQL statement that reads."`
	Export      exportCmd          `cmd:"" group:"ask" help:"Write an experiment to files, with a manifest of row counts and SHA-256."`

	Serve serveCmd `cmd:"" group:"watch" help:"Serve the dashboard, the API and live events, and sync what is watched."`

	Watch  watchCmd  `cmd:"" group:"watch" help:"Watch trainings in the terminal: alive, better, safe? From a folder of journals or a server."`
	Alerts alertsCmd `cmd:"" group:"watch" help:"List alerts, silence one, or test a channel."`

	Token      tokenCmd      `cmd:"" group:"manage" help:"Make, list and revoke the tokens with which trainers and people reach a server."`
	Checkpoint checkpointCmd `cmd:"" group:"manage" help:"List saved models, fetch, promote, roll back, verify and prune them."`

	Usage   usageCmd   `cmd:"" group:"manage" help:"Say what takes the space of the database, by table and experiment, and what archiving would free."`
	Backup  backupCmd  `cmd:"" group:"manage" help:"Take, list, verify and restore backups of the database."`
	Archive archiveCmd `cmd:"" group:"manage" help:"Keep a database small: move old experiments and steps to Parquet files, and bring them back."`

	Migrate migrateCmd `cmd:"" group:"manage" help:"Lay out the tables, or say which version they have."`
	Demo    demoCmd    `cmd:"" group:"manage" help:"Train a small controller with the dashboard open, kill it, resume, sync, verify and query: in about two minutes, without services."`
	Doctor  doctorCmd  `cmd:"" group:"manage" help:"Go through the deployment checklist: look at each thing, say what was found, why it matters and how to mend it."`
	Version versionCmd `cmd:"" group:"manage" help:"Print the version."`
}

var groups = []kong.Group{
	{Key: "record", Title: "From the journal to the database:"},
	{Key: "simulate", Title: "With the SUMO simulator:"},
	{Key: "ask", Title: "From the database:"},
	{Key: "watch", Title: "To look at it:"},
	{Key: "manage", Title: "Around it:"},
}
