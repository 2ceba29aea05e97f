#!/usr/bin/env python3
"""Computes reference.json with SciPy: /usr/bin/python3 reference.py > reference.json"""
import json
import random
import sys

import numpy as np
import scipy
from scipy import stats

rng = random.Random(20261123)


def case(name, a, b):
    d = np.array(a) - np.array(b)
    t = stats.ttest_rel(a, b)
    low, high = stats.t.interval(0.95, len(d) - 1, d.mean(), stats.sem(d))
    out = {
        "name": name, "a": a, "b": b, "t": t.statistic, "t_p": t.pvalue, "low": low, "high": high,
        "dz": d.mean() / d.std(ddof=1), "shapiro": list(stats.shapiro(d)),
    }
    sizes = np.abs(d[d != 0])
    if len(set(sizes.tolist())) == len(sizes) and len(sizes) <= 50:
        out["wilcoxon"] = list(stats.wilcoxon(d[d != 0], mode="exact"))
    elif len(sizes) > 50:
        out["wilcoxon"] = list(stats.wilcoxon(d, zero_method="wilcox", correction=False, mode="approx"))
    return out


def normal(n, shift, spread=1.0, offset=0.0):
    b = [round(offset + rng.gauss(60, 10), 6) for _ in range(n)]
    return [round(x + rng.gauss(shift, spread), 6) for x in b], b


cases = [case("normal %d" % n, *normal(n, -1.5, 2)) for n in (3, 4, 5, 6, 10, 11, 12, 25, 50, 51, 400)]
cases.append(case("large offset", *normal(12, -0.4, 1, 1e6)))
skewed = [round(rng.expovariate(0.3) - 1, 6) for _ in range(20)]
cases.append(case("skewed", skewed, [0.0] * 20))
cases.append(case("outlier", [1.0, 1.1, 0.9, 1.2, 0.8, 1.3, 0.7, 95.0], [0.0] * 8))
ties = [float(rng.randint(-3, 6)) for _ in range(80)]
cases.append(case("ties and zeros", ties, [0.0] * 80))
json.dump({"scipy": scipy.__version__, "cases": cases}, sys.stdout, indent=1)
print()
