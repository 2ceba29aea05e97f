"""A trainer that is killed: it writes a line to standard output after each record that
was acknowledged."""

import os
import sys

import greenwave

run = greenwave.resume("killed", dir=sys.argv[1], errors="raise", **({"destination": sys.argv[2]} if len(sys.argv) > 2 else {}))
# Small segments, so that a kill meets the change from one to the next.
run._recorder._writer._limit = 60_000


def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


say("begun", run.last_episode if run.last_episode is not None else -1)
episode = run.last_episode + 1 if run.last_episode is not None else 0
while True:
    for step in range(20):
        run.log_step(episode_number=episode, step_number=step, state_vector=[0.5] * 30, immediate_reward=float("nan"))
        say(episode, step)
    run.log_episode(episode_number=episode, total_reward=float(episode))
    say(episode, -1)
    episode += 1
