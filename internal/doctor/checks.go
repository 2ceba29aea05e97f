package doctor

// Checks is the list, in the order of the guide's checklist.
var Checks = []Check{
	{
		Name: "schema", Phases: []Phase{Before}, Line: "Database schema deployed to Supabase",
		Why: "a program that meets tables of another version refuses to write; records then wait in their journals",
		Fix: "greenwave migrate up", look: schema, fix: migrate,
	},
	{
		Name: "configuration", Phases: []Phase{Before}, Line: "Environment variables configured",
		Why: "a misspelt or contradicting setting sends records to another database than the one that is looked at, and a secret that others can read is theirs",
		Fix: "takes the files that hold secrets away from other users", look: configuration, fix: hideFiles,
	},
	{
		Name: "connection", Phases: []Phase{Before, During}, Line: "Database connection tested",
		Why:  "each batch costs three round trips, and what is sent without encryption, or to a server that did not prove who it is, can be read and changed on the way",
		look: connection,
	},
	{
		Name: "clock", Phases: []Phase{Before},
		Why:  "of two records of the same episode the one that was logged later wins, and a run that seems silent is shown as interrupted: both compare clocks",
		look: clock,
	},
	{
		Name: "security", Phases: []Phase{Before}, Line: "Row level security enabled",
		Why: "whoever reaches the database, with a project's public key or an account of this machine, sees and changes what policies or file modes let them",
		Fix: "lays the policies and grants again (greenwave_protect_all), or takes an SQLite file away from other users", look: security, fix: protect,
	},
	{
		Name: "backup", Phases: []Phase{Before, After}, Line: "Backup strategy implemented",
		Why:  "a disk, a project or an account is lost once; a backup that nobody has brought back may be none",
		look: backups,
	},
	{
		Name: "simulator", Phases: []Phase{Before}, host: true,
		Why:  "training and evaluation run SUMO, and other versions simulate other traffic",
		look: simulator,
	},
	{
		Name: "dashboard", Phases: []Phase{During}, Line: "Real-time monitoring dashboard active",
		Why:  "a training that went wrong at noon is found in the evening when nobody could look",
		look: dashboardAlive,
	},
	{
		Name: "alerting", Phases: []Phase{During}, Line: "Error alerting configured",
		Why:  "nobody watches for days; rules do, if they are evaluated and somebody is told",
		look: alerting,
	},
	{
		Name: "journal", Phases: []Phase{During, Before}, Line: "Local file backup enabled",
		Why: "every record is in the journal before it is anywhere else; a disk that is full ends the recording, and a database that is away is waited for there",
		Fix: "makes the folder", look: journalRoom, fix: makeFolder,
	},
	{
		Name: "resources", Phases: []Phase{During}, Line: "Resource monitoring active",
		Why:  "a trainer that is short of memory is killed by the system, and what it used before is known only if it was recorded",
		look: hostResources,
	},
	{
		Name: "data", Phases: []Phase{After}, Line: "Data validation completed",
		Why:  "only the comparison of every record with its row shows that the database holds what was measured, all of it and unchanged",
		look: data,
	},
	{
		Name: "exports", Phases: []Phase{After}, Line: "Results exported for analysis", host: true,
		Why:  "what a paper rests on must be readable without this program and this database, years later",
		look: exports,
	},
	{
		Name: "models", Phases: []Phase{After}, Line: "Models backed up to cloud storage",
		Why:  "a checkpoint that is lost is a month of training, and one that was changed is another policy under the same name",
		look: models,
	},
	{
		Name: "performance", Phases: []Phase{After}, Line: "Performance benchmarks documented",
		Why: "a result is one only beside a baseline and on demand that was held out, and with every episode that led to it",
		Fix: "counts the episodes again where the statistics differ", look: performance, fix: recount,
	},
}
