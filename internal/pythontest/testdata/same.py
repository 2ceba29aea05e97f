"""Logs the records of a file of JSON lines, {"kind": …, "data": {…}}."""

import json
import sys

import greenwave

with greenwave.start("same", dir=sys.argv[1], hyperparameters={"layers": [64, 32], "lr": 0.1}, resources_every=0) as run, open(sys.argv[2]) as f:
    for line in f:
        r = json.loads(line)
        getattr(run, "log_" + r["kind"])(r["data"])
