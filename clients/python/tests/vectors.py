"""Where the vectors are that every client is held to."""

import json
import os

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", "..", "testdata", "journal"))


def load(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as f:
        return json.load(f)


def names(kind):
    return sorted(os.listdir(os.path.join(ROOT, kind)))
