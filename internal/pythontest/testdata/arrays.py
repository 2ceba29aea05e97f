"""Logs values of numpy and pandas."""

import sys

import numpy as np
import pandas as pd

import greenwave

with greenwave.start("arrays", dir=sys.argv[1], hyperparameters={"gamma": np.float32(0.5), "layers": np.array([64, 32])}, resources_every=0) as run:
    run.log_step(
        episode_number=np.int64(1), step_number=np.uint8(2), immediate_reward=np.float32(-0.5), action_taken=np.array([3]),
        state_vector=np.array([0.5, np.nan, np.inf], dtype=np.float32), queue_lengths={"A": {"north": np.int32(4)}},
        speeds=pd.Series({"A": 12.5}).to_dict(), real_timestamp=pd.Timestamp("2026-01-02T03:04:05Z"),
        mask=np.array([[True, False]]), frame=pd.DataFrame({"a": [1]}).to_dict("list"),
    )  # fmt: skip
    run.log_episode(episode_number=1, total_reward=np.float64("nan"), avg_loss=np.float16(0.25))
