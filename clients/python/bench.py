"""What a step costs: µs a call of log_step, against a bare write of the same bytes.

    python3 clients/python/bench.py
"""

import glob
import os
import platform
import tempfile
import time

import greenwave

STEPS, ROUNDS = 2000, 7
JUNCTIONS = ("ECOLAND", "JOHNPAUL", "SANDAWA")


def step(size):
    """A step as the guide has it, with a state of so many numbers of which 70 % are zero."""
    return {
        "active_vehicles": 219, "queue_lengths": {j: {a: 4 for a in ("north", "south", "east", "west")} for j in JUNCTIONS},
        "waiting_times": {j: 17.18 for j in JUNCTIONS}, "speeds": {j: 18.51 for j in JUNCTIONS},
        "state_vector": [0.0 if i % 10 < 7 else i / 7 for i in range(size)], "action_taken": 3, "immediate_reward": -0.125,
        "intersection_metrics": {j: {"action": 1, "pressure": 2.5} for j in JUNCTIONS}, "simulation_time": 35.0,
    }  # fmt: skip


def measure(call):
    """The best of several rounds: what others do on the machine only adds."""
    best = float("inf")
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        for i in range(STEPS):
            call(i)
        best = min(best, (time.perf_counter() - begun) / STEPS)
    return best * 1e6


def main():
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores; best of {ROUNDS} rounds of {STEPS}")
    for size in (4, 600):
        with tempfile.TemporaryDirectory() as folder:
            fields = step(size)
            with greenwave.start("bench", dir=folder, resources_every=0) as run:
                ours = measure(lambda i: run.log_step(fields, episode_number=1, step_number=i))
                (name,) = glob.glob(os.path.join(run.dir, "000001-*.jsonl"))
                with open(name, "rb") as f:
                    line = f.readlines()[1]
            fd = os.open(os.path.join(folder, "bare"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            bare = measure(lambda i: os.write(fd, line))
            os.close(fd)
        print(f"log_step, state of {size} ({len(line)} B a line): {ours:.1f} µs; bare write of the same bytes {bare:.1f} µs; ratio {ours / bare:.1f}")


if __name__ == "__main__":
    main()
