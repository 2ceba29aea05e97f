// run.cjs FILE: runs the statements of a file with DuckDB in this folder, and prints the
// rows of each as a line of JSON.
const { readFileSync } = require("node:fs");
const { DuckDBInstance } = require("@duckdb/node-api");

(async () => {
	const db = await (await DuckDBInstance.create()).connect();
	const statements = await db.extractStatements(readFileSync(process.argv[2], "utf8"));
	for (let i = 0; i < statements.count; i++) {
		const rows = await (await statements.prepare(i)).runAndReadAll();
		console.log(JSON.stringify(rows.getRowObjectsJson()));
	}
})();
