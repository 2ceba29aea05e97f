"""A training that is recorded, to be read and run like a notebook.

    PYTHONPATH=clients/python python3 examples/python/corridor.py

It needs nothing but Python 3.9 or newer. Stop it with ctrl-C at any time, kill it, and
start it again: it goes on behind the last episode that is safe.
"""

# %% What is trained: two signals in a row, and an agent that learns how long a green
# should be. It is a toy model of queues, not a measurement of anybody's traffic.

import argparse
import logging
import os
import random

import greenwave

JUNCTIONS = ("ECOLAND", "SANDAWA")
APPROACHES = ("north", "south", "east", "west")
GREENS = (10, 20, 30, 40)  # seconds


class Corridor:
    """Queues at two junctions, in steps of one cycle."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.queues = {j: {a: 0 for a in APPROACHES} for j in JUNCTIONS}

    def step(self, green):
        for j in JUNCTIONS:
            for a in APPROACHES:
                share = green if a in ("north", "south") else 60 - green
                arrived = self.random.randint(4, 12 if a in ("north", "south") else 8)
                self.queues[j][a] = max(0, self.queues[j][a] + arrived - share // 3)
        return -sum(q for j in JUNCTIONS for q in self.queues[j].values())


# %% Where it is recorded. Everything has a default; without a destination the run is
# recorded offline, and `greenwave sync runs` sends it later.

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--dir", default="runs")
parser.add_argument("--db", help="postgres://… or sqlite:PATH; the greenwave program sends there")
parser.add_argument("--episodes", type=int, default=40)
parser.add_argument("--steps", type=int, default=30)
options = parser.parse_args()

logging.basicConfig(level=logging.INFO, format="%(message)s")
config = {"learning_rate": 0.1, "epsilon_decay": 0.93, "greens": GREENS}
values = {green: 0.0 for green in GREENS}

# %% The training. resume goes on behind an earlier run, whatever ended it.

with greenwave.resume("python-corridor", dir=options.dir, destination=options.db, hyperparameters=config) as run:
    first = 1 if run.last_episode is None else run.last_episode + 1
    for episode in range(first, options.episodes + 1):
        epsilon = config["epsilon_decay"] ** episode
        corridor, total, longest = Corridor(seed=episode), 0.0, 0
        for step in range(options.steps):
            explore = corridor.random.random() < epsilon
            green = corridor.random.choice(GREENS) if explore else max(values, key=lambda g: values[g])
            reward = corridor.step(green)
            values[green] += config["learning_rate"] * (reward - values[green])
            total += reward
            longest = max(longest, *corridor.queues["ECOLAND"].values())
            run.log_step(
                episode_number=episode, step_number=step, simulation_time=60 * step, action_taken=GREENS.index(green),
                immediate_reward=reward, queue_lengths=corridor.queues, state_vector=[q for j in JUNCTIONS for q in corridor.queues[j].values()],
                q_values=[values[g] for g in GREENS],  # a field of our own: it goes to the column extra
            )  # fmt: skip
        # When this returns, the episode and all of its steps are on the disk.
        run.log_episode(
            episode_number=episode, total_reward=total, steps_completed=options.steps, epsilon_value=epsilon,
            max_queue_length=longest, scenario_info={"day": "toy", "cycle": episode, "intersections": JUNCTIONS},
        )  # fmt: skip

    # %% A checkpoint, and how it does on demand that it has not seen.
    model = os.path.join(options.dir, "model.txt")
    with open(model, "w") as f:
        f.write(repr(values))
    best = run.log_checkpoint(checkpoint_type="final", model_path=model, episode_number=options.episodes)
    corridor = Corridor(seed=10_000)
    green = max(values, key=lambda g: values[g])
    run.log_validation(
        checkpoint_id=best, validation_episode=options.episodes, test_scenario={"seed": 10_000},
        total_reward=sum(corridor.step(green) for _ in range(options.steps)),
    )  # fmt: skip

# %% What has become of it.

report = run.report()
print(f"{report.status}: {report.logged} records logged, {report.durable} on the disk, {report.synced} in the database")
print(f"journal: {report.dir}")
print("next: greenwave serve --watch", options.dir)
