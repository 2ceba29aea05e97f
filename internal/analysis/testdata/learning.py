#!/usr/bin/env python3
"""Computes learning.json with NumPy and SciPy: /usr/bin/python3 learning.py > learning.json

The shapes of learning curves follow the rules in docs/statistics.md, written down again
here with whole arrays in place of loops; the influence of settings is SciPy's.
"""
import itertools
import json
import math
import sys

import numpy as np
import scipy
from scipy import stats

rng = np.random.default_rng(20261125)


def shape(x):
    n = len(x)
    window = min(max(n // 10, 10), 100)
    mean = np.lib.stride_tricks.sliding_window_view(x, window).mean(axis=1)
    tail = x[n - math.ceil(0.2 * n):]
    first, last, best, low = mean[0], tail.mean(), mean.max(), mean.min()
    spread, way = best - low, best - first
    noise = 2 * tail.std(ddof=1) / math.sqrt(window)
    band = max(0.05 * spread, noise)
    so_far = np.maximum.accumulate(mean)
    gained = so_far - first
    lost = np.flatnonzero((gained > max(0.2 * spread, band)) & (so_far - mean > np.maximum(0.5 * gained, noise)))
    collapse = int(lost[0]) if len(lost) else None
    recovered = collapse is not None and bool(np.any(mean[collapse + 1:] >= first + 0.9 * gained[collapse + 1:]))
    inside = np.abs(mean - last) <= band
    outside = np.flatnonzero(~inside)
    settled = int(outside[-1]) + 1 if len(outside) else 0
    converged = None
    if (collapse is None or recovered) and last - first > band and settled < len(mean) \
            and n - (settled + window - 1) >= 0.2 * n:
        converged = settled + window - 1
    reached = np.flatnonzero(mean >= first + 0.9 * way) if way > band else []
    flat, i, length, before = [], 0, max(n // 10, 20), int(mean.argmax())
    while i < before:
        ptp = np.maximum.accumulate(mean[i:before]) - np.minimum.accumulate(mean[i:before])
        long = int((ptp <= 0.05 * spread).sum())
        if long >= length:
            if best - mean[i:i + long].max() > band:
                flat.append([i + window - 1, i + long + window - 2])
            i += long
        else:
            i += 1
    return {
        "rewards": x.tolist(), "window": window, "first": first, "last": last, "best": best, "best_at": before + window - 1, "band": band,
        "converged_at": converged, "stability": tail.std(ddof=1),
        "sample_efficiency": float(((mean - first) / way).mean()) if way > band else None,
        "threshold_at": int(reached[0]) + window - 1 if len(reached) else None, "plateaus": flat,
        "collapse_at": None if collapse is None else collapse + window - 1, "recovered": recovered,
    }


def curve(n, of, noise=1.0):
    return np.round(np.array([of(i) for i in range(n)]) + noise * rng.standard_normal(n), 6)


def rise(i):
    return -50 * math.exp(-i / 40)


CURVES = {
    "settles": curve(300, rise),
    "still rises": curve(300, lambda i: i / 3),
    "falls": curve(300, lambda i: -i / 10),
    "learns nothing": curve(200, lambda i: 0),
    "collapses": curve(300, lambda i: -45 if i > 200 else rise(i)),
    "collapses and recovers": curve(400, lambda i: -45 if 150 < i <= 200 else rise(i)),
    "a plateau on the way": curve(400, lambda i: i if i < 50 else 50 if i < 250 else min(50 + i - 250, 100)),
    "short": curve(30, lambda i: -20 * math.exp(-i / 5)),
    "rises and falls within its noise": curve(350, lambda i: 10 * math.sin(i / 60), 75.0),
    "long": curve(2000, lambda i: -50 * math.exp(-i / 200), 5.0),
}


def exact(statistic, y):
    """The share of all orders of y with a statistic at least as large."""
    seen = statistic(y)
    return float(np.mean([statistic(np.array(p)) >= seen * (1 - 1e-12) for p in itertools.permutations(y)]))


def kruskal(y, codes):
    """SciPy's statistic; it refuses only where all outcomes are equal."""
    return stats.kruskal(*[np.asarray(y)[codes == c] for c in np.unique(codes)])


def numbers(name, x, y):
    x, y = np.asarray(x, float), np.asarray(y, float)
    rho, p = stats.spearmanr(x, y)
    rank = stats.rankdata(x)
    is_exact = len(x) <= 7
    if is_exact:
        p = exact(lambda v: abs(np.corrcoef(rank, v)[0, 1]), stats.rankdata(y))
    return {"name": name, "numbers": x.tolist(), "outcomes": y.tolist(), "method": "Spearman's rank correlation", "share": rho * rho, "rho": rho, "p": p, "exact": is_exact}


def levels(name, labels, y):
    y, labels = np.asarray(y, float), np.asarray(labels)
    codes = np.unique(labels, return_inverse=True)[1]
    h, p = kruskal(y, codes)
    n, k = len(y), len(np.unique(codes))
    is_exact = n <= 7
    if is_exact:
        p = exact(lambda v: kruskal(v, codes).statistic, y)
    return {"name": name, "labels": labels.tolist(), "outcomes": y.tolist(), "method": "Kruskal-Wallis test", "share": max((h - k + 1) / (n - k), 0), "p": p, "exact": is_exact,
            "within": 1 - h / (n - 1)}


def influences():
    noise = rng.standard_normal
    rates = np.round(10 ** rng.uniform(-5, -2, 16), 8)
    yield numbers("sixteen rates", rates, np.round(-np.log10(rates) + noise(16), 4))
    yield numbers("ties among outcomes", np.arange(12) * 0.5, np.round(noise(12)))
    yield numbers("seven runs", [1, 2, 3, 4, 5, 6, 7], [2.0, 1.0, 4.0, 3.0, 7.0, 5.0, 6.0])
    yield numbers("five runs with ties", [1, 2, 3, 4, 5], [2.0, 2.0, 4.0, 3.0, 7.0])
    groups = np.repeat(["a", "b", "c"], 5)
    yield levels("three kinds", groups, np.round(noise(15) + np.repeat([0, 2, 0], 5), 4))
    yield levels("three kinds, nothing", groups, np.round(noise(15), 4))
    yield levels("ties", np.repeat(["x", "y"], 6), np.round(noise(12)))
    yield levels("six runs", ["a", "a", "a", "b", "b", "b"], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    yield levels("seven runs of two kinds", ["a", "b", "a", "b", "a", "b", "a"], [1.0, 2.0, 2.0, 4.0, 5.0, 6.0, 3.0])


json.dump({"scipy": scipy.__version__, "curves": [{"name": k, **shape(x)} for k, x in CURVES.items()], "influences": list(influences())},
          sys.stdout, indent=None, separators=(",", ":"))
print()
