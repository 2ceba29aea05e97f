"""Learning curves of one experiment or of several seeds, with pandas and matplotlib.

    greenwave export corridor-s1 --out exports/s1
    greenwave export corridor-s2 --out exports/s2
    python3 examples/analysis/curves.py exports/s1 exports/s2 --metric total_reward --out curves.png

Each folder is one experiment, exported as CSV. Thin lines are the episodes, thick ones the
mean of the last ten. With two folders or more the band is the standard deviation between
them at the same episode. A name that ends in .svg or .pdf is drawn for print.
"""

import argparse
import json
import pathlib

import matplotlib

matplotlib.use("Agg")  # a file, no window
import matplotlib.pyplot as plt
import pandas as pd

# Okabe and Ito's colours, which colour-blind people tell apart.
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000"]


def episodes(folder, metric):
    """One value per episode number: a column, or a number that is recorded in extra."""
    path = pathlib.Path(folder) / "training_episodes.csv"
    table = pd.read_csv(path)
    if metric in table:
        values = table[metric]
    else:
        extra = table["extra"].map(lambda text: json.loads(text) if isinstance(text, str) else {})
        values = extra.map(lambda more: more.get(metric))
    values = pd.to_numeric(values, errors="coerce")
    if values.notna().sum() == 0:
        numbers = sorted(table.select_dtypes("number").columns)
        raise SystemExit(f"{path}: no number called {metric!r}; its columns are {', '.join(numbers)}")
    return pd.Series(values.to_numpy(), index=table["episode_number"], name=pathlib.Path(folder).name).sort_index()


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("exports", nargs="+", help="folders that greenwave export wrote as CSV")
    options.add_argument("--metric", default="total_reward", help="a column of training_episodes, or a name in extra, such as full_delay")
    options.add_argument("--window", type=int, default=10, help="episodes that the thick line averages")
    options.add_argument("--log", action="store_true", help="logarithmic axis")
    options.add_argument("--out", default="curves.png")
    options = options.parse_args()

    runs = [episodes(folder, options.metric) for folder in options.exports]
    plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "svg.fonttype": "none"})
    figure, axes = plt.subplots(figsize=(6.4, 3.6), constrained_layout=True)
    for colour, run in zip(COLOURS * len(runs), runs):
        axes.plot(run.index, run, color=colour, linewidth=0.6, alpha=0.35)
        if len(runs) < 2:
            axes.plot(run.index, run.rolling(options.window, min_periods=1).mean(), color=colour, label=run.name)
    if len(runs) > 1:
        smooth = pd.concat([run.rolling(options.window, min_periods=1).mean() for run in runs], axis=1)
        mean, deviation = smooth.mean(axis=1), smooth.std(axis=1)
        low = (mean - deviation).clip(lower=min(run.min() for run in runs))
        axes.fill_between(mean.index, low, mean + deviation, color="#000000", alpha=0.12, linewidth=0)
        axes.plot(mean.index, mean, color="#000000", label=f"mean of {len(runs)} ± standard deviation")
    if options.log:
        axes.set_yscale("log")
    axes.set_xlabel("episode")
    axes.set_ylabel(options.metric.replace("_", " "))
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.legend(frameon=False)
    figure.savefig(options.out, dpi=200)
    last = pd.concat([run.tail(options.window) for run in runs])
    print(f"{options.out}: {len(runs)} experiments, {sum(run.notna().sum() for run in runs)} episodes; "
          f"the last {options.window} of each: mean {last.mean():.4g}, median {last.median():.4g}")


if __name__ == "__main__":
    main()
