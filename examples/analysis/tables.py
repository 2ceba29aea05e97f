"""Moving averages and validations as tables, with pandas, from a database file.

    greenwave export corridor-s1 --format sqlite --out exports/corridor-s1
    python3 examples/analysis/tables.py exports/corridor-s1/greenwave.db --csv validations.csv

It reads any Greenwave database in a file, an export of one experiment or the whole of
`greenwave serve`. For PostgreSQL give pandas.read_sql a SQLAlchemy connection: the
statements are the same.
"""

import argparse
import json
import pathlib
import sqlite3

import pandas as pd

MOVING_AVERAGE = """
SELECT e.experiment_name, t.episode_number, t.total_reward,
       AVG(t.total_reward) OVER (PARTITION BY t.experiment_id ORDER BY t.episode_number ROWS 9 PRECEDING) AS moving_avg
FROM training_episodes t JOIN experiments e ON e.id = t.experiment_id
ORDER BY e.experiment_name, t.episode_number"""

VALIDATIONS = """
SELECT e.experiment_name, v.validation_episode, v.test_scenario, v.total_reward, v.traffic_metrics
FROM validation_results v JOIN experiments e ON e.id = v.experiment_id
ORDER BY e.experiment_name, v.validation_episode"""


def parsed(text):
    """An object that is stored as JSON; where nothing is stored, an empty one."""
    return json.loads(text) if isinstance(text, str) else {}


def validations(database):
    """A row per validation, the numbers of traffic_metrics as columns."""
    table = pd.read_sql(VALIDATIONS, database)
    scenario = table.pop("test_scenario").map(parsed)
    table.insert(2, "split", scenario.map(lambda s: str(s.get("split", "")).split(":")[0]))
    metrics = pd.DataFrame([parsed(text) for text in table.pop("traffic_metrics")])
    return pd.concat([table, metrics.drop(columns="total_reward", errors="ignore")], axis=1)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("database", help="a file: greenwave.db")
    options.add_argument("--csv", help="write the validations there as well")
    options = options.parse_args()
    if not pathlib.Path(options.database).is_file():
        raise SystemExit(f"{options.database}: no such file; greenwave export NAME --format sqlite --out DIR writes one")

    database = sqlite3.connect(f"file:{options.database}?mode=ro", uri=True)
    try:
        averages = pd.read_sql(MOVING_AVERAGE, database)
        table = validations(database)
    finally:
        database.close()
    print("Mean reward of the last ten episodes")
    print(averages.groupby("experiment_name").tail(1).to_string(index=False))
    shown = [name for name in ("experiment_name", "validation_episode", "split", "total_reward", "full_delay", "delay", "queue", "vehicles_per_hour") if name in table]
    print("\nValidations")
    print(table[shown].to_string(index=False, float_format="{:.2f}".format) if len(table) else "none is recorded")
    if options.csv:
        table.to_csv(options.csv, index=False)


if __name__ == "__main__":
    main()
