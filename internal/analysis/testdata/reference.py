#!/usr/bin/env python3
"""Computes reference.json with SciPy: /usr/bin/python3 reference.py > reference.json

The inputs are drawn with a fixed seed and stand in the table beside SciPy's answers.
Random draws of the bootstrap are tabled too, so that both sides resample the same.
"""
import json
import math
import random
import sys

import numpy as np
import scipy
from scipy import integrate, optimize, special, stats

rng = random.Random(20261123)


def t_quantile(p, nu):
    """SciPy 1.10's own quantile of t is good to ten digits; its distribution function to all."""
    return optimize.brentq(lambda q: stats.t.cdf(q, nu) - p, 0, 1000, xtol=1e-15, rtol=1e-15)


def sign_flips(d):
    """The exact permutation test of paired differences."""
    r = stats.permutation_test((d,), lambda x, axis: np.mean(x, axis=axis), permutation_type="samples",
                               vectorized=True, n_resamples=np.inf)
    # The null distribution counts sums that differ by rounding as different.
    null, seen = r.null_distribution, abs(np.mean(d))
    return float(np.mean(np.abs(null) >= seen - 1e-12 * np.sum(np.abs(d))))


def signed_ranks_by_enumeration(d, pratt):
    """Exact p over all signs of the ranks: SciPy's exact mode knows neither ties nor zeros."""
    d = np.array(d)
    if not pratt:
        d = d[d != 0]
    ranks = stats.rankdata(np.abs(d))[d != 0]
    signs = np.sign(d[d != 0])
    total, plus = ranks.sum(), ranks[signs > 0].sum()
    low = min(plus, total - plus)
    patterns = (np.arange(2 ** len(ranks))[:, None] >> np.arange(len(ranks))) & 1
    sums = patterns @ ranks
    return [float(low), float(min(2 * np.mean(sums <= low + 1e-9), 1))]


def noncentral_t(t, nu, delta):
    """P(T <= t) by quadrature over the chi distribution of the denominator, which is
    more exact than SciPy's nct."""
    def f(s):
        return special.ndtr(t * s - delta) * math.exp(
            math.log(2) + nu / 2 * math.log(nu / 2) - special.gammaln(nu / 2) + (nu - 1) * math.log(s) - nu * s * s / 2)
    spread = 1 / math.sqrt(2 * nu)
    low, high = max(1e-12, 1 - 40 * spread), 1 + 40 * spread
    value, _ = integrate.quad(f, low, high, epsabs=1e-14, epsrel=1e-13, limit=2000, points=[1.0])
    return value


def power(dz, n):
    c = t_quantile(0.975, n - 1)
    delta = abs(dz) * math.sqrt(n)
    return 1 - noncentral_t(c, n - 1, delta) + noncentral_t(-c, n - 1, delta)


def dz_interval(dz, n):
    t = dz * math.sqrt(n)
    find = lambda p: optimize.brentq(lambda delta: noncentral_t(t, n - 1, delta) - p, t - 30, t + 30, xtol=1e-13, rtol=1e-14)
    return [find(0.975) / math.sqrt(n), find(0.025) / math.sqrt(n)]


def cliff(a, b):
    return 2 * stats.mannwhitneyu(a, b).statistic / (len(a) * len(b)) - 1


def pooled(a, b):
    n, m = len(a), len(b)
    s = math.sqrt(((n - 1) * np.var(a, ddof=1) + (m - 1) * np.var(b, ddof=1)) / (n + m - 2))
    return (np.mean(a) - np.mean(b)) / s


def hedges(a, b):
    nu = len(a) + len(b) - 2
    return pooled(a, b) * math.exp(special.gammaln(nu / 2) - special.gammaln((nu - 1) / 2)) / math.sqrt(nu / 2)


def pair(name, a, b):
    d = np.array(a) - np.array(b)
    t = stats.ttest_rel(a, b)
    half = t_quantile(0.975, len(d) - 1) * stats.sem(d)
    low, high = d.mean() - half, d.mean() + half
    dz = d.mean() / d.std(ddof=1)
    out = {
        "name": name, "a": a, "b": b, "t": t.statistic, "t_p": t.pvalue, "low": low, "high": high,
        "dz": dz, "dz_interval": dz_interval(dz, len(d)) if len(d) <= 1000 and abs(dz) < 5 else None,
        "pooled": pooled(a, b), "hedges": hedges(a, b), "cliff": cliff(a, b), "power": power(dz, len(d)),
        "shapiro": list(stats.shapiro(d)),
    }
    sizes = np.abs(d[d != 0])
    if len(sizes) == len(d) and len(set(sizes.tolist())) == len(sizes) and len(sizes) <= 50:
        out["wilcoxon"] = list(stats.wilcoxon(d, mode="exact"))
    elif len(sizes) > 50:
        out["wilcoxon"] = list(stats.wilcoxon(d, zero_method="wilcox", correction=False, mode="approx"))
        out["pratt"] = list(stats.wilcoxon(d, zero_method="pratt", correction=False, mode="approx"))
    elif len(sizes) <= 16:
        out["wilcoxon"] = signed_ranks_by_enumeration(d, False)
        out["pratt"] = signed_ranks_by_enumeration(d, True)
    if len(d) <= 16:
        out["sign_flips"] = sign_flips(d)
    return out


def normal(n, shift, spread=1.0, offset=0.0):
    b = [round(offset + rng.gauss(60, 10), 6) for _ in range(n)]
    return [round(x + rng.gauss(shift, spread), 6) for x in b], b


def pairs():
    yield from (pair("normal %d" % n, *normal(n, -1.5, 2)) for n in (3, 4, 5, 6, 10, 11, 12, 25, 50, 51, 400))
    yield pair("large offset", *normal(12, -0.4, 1, 1e6))
    skewed = [round(rng.expovariate(0.3) - 1, 6) for _ in range(20)]
    yield pair("skewed", skewed, [round(rng.gauss(0, 0.1), 6) for _ in range(20)])
    yield pair("outlier", [1.0, 1.1, 0.9, 1.2, 0.8, 1.3, 0.7, 95.0], [0.01 * i for i in range(8)])
    yield pair("ties", [float(rng.randint(1, 4)) * rng.choice([-1, 1, 1]) for _ in range(12)], [0.5] * 6 + [0.0] * 6)
    yield pair("ties and few zeros", [float(rng.randint(-3, 6)) for _ in range(14)], [0.0] * 7 + [1.0] * 7)
    yield pair("ties and zeros", [float(rng.randint(-3, 6)) for _ in range(80)], [float(rng.randint(0, 1)) for _ in range(80)])
    yield pair("p far below 1e-40", *normal(66, 40, 7))


def samples(name, a, b):
    w = stats.ttest_ind(a, b, equal_var=False)
    ties = len(set(a + b)) < len(a) + len(b)
    out = {
        "name": name, "a": a, "b": b, "welch": [w.statistic, w.pvalue],
        "pooled": pooled(a, b), "hedges": hedges(a, b), "cliff": cliff(a, b),
    }
    if len(a) + len(b) > 60:
        u = stats.mannwhitneyu(a, b, method="asymptotic", use_continuity=True)
        out["mann_whitney"] = [u.statistic, u.pvalue]
    elif not ties:
        u = stats.mannwhitneyu(a, b, method="exact")
        out["mann_whitney"] = [u.statistic, u.pvalue]
    else:  # SciPy's exact mode knows no ties: all ways to deal the ranks
        ranks = stats.rankdata(a + b)
        r = stats.permutation_test((ranks[:len(a)], ranks[len(a):]), lambda x, y, axis: np.sum(x, axis=axis),
                                   vectorized=True, n_resamples=np.inf)
        out["mann_whitney"] = [stats.mannwhitneyu(a, b).statistic, r.pvalue]
    if special.comb(len(a) + len(b), len(a)) <= 200000:
        r = stats.permutation_test((a, b), lambda x, y, axis: np.mean(x, axis=axis) - np.mean(y, axis=axis),
                                   vectorized=True, n_resamples=np.inf)
        seen = abs(np.mean(a) - np.mean(b))
        out["permutation"] = float(np.mean(np.abs(r.null_distribution) >= seen - 1e-12 * np.sum(np.abs(a + b))))
    return out


def two_samples():
    g = lambda n, m, s: [round(rng.gauss(m, s), 6) for _ in range(n)]
    yield samples("5 and 5 seeds", g(5, 50, 3), g(5, 46, 3))
    yield samples("unequal sizes and variances", g(4, 50, 1), g(12, 49, 8))
    yield samples("with ties", [float(rng.randint(0, 5)) for _ in range(7)], [float(rng.randint(1, 7)) for _ in range(8)])
    yield samples("30 and 30", g(30, 1, 1), g(30, 0.4, 1))
    yield samples("many", g(70, 0, 1), g(50, 0.3, 2))
    yield samples("many with ties", [float(rng.randint(0, 9)) for _ in range(80)], [float(rng.randint(0, 8)) for _ in range(60)])


def bootstrap(name, x, level, draws, seed):
    class Draws(np.random.Generator):
        """Keeps what it hands out."""
        def integers(self, *a, **k):
            self.seen = super().integers(*a, **k)
            return self.seen
    g = Draws(np.random.PCG64(seed))
    r = stats.bootstrap((x,), np.mean, confidence_level=level, n_resamples=draws, method="BCa", random_state=g)
    return {"name": name, "x": x, "level": level, "indices": g.seen.tolist(),
            "low": r.confidence_interval.low, "high": r.confidence_interval.high}


def aggregate(name, a, b):
    return {
        "name": name, "a": a, "b": b, "iqm": stats.trim_mean([v for s in a for v in s], 0.25),
        "improvement": float(np.mean([stats.mannwhitneyu(x, y).statistic / (len(x) * len(y)) for x, y in zip(a, b)])),
    }


def scores(scenarios, seeds, shift):
    return [[round(rng.gauss(50 + 3 * i + shift, 4), 3) for _ in range(seeds)] for i in range(scenarios)]


def corrections():
    p = [round(rng.random() ** 3, 6) for _ in range(9)]
    order = np.argsort(p)
    holm, largest = [0.0] * 9, 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(p[i] * (9 - rank), 1))
        holm[i] = largest
    return {"p": p, "holm": holm, "bonferroni": [min(9 * v, 1) for v in p]}


json.dump({
    "scipy": scipy.__version__,
    "pairs": list(pairs()),
    "samples": list(two_samples()),
    "noncentral_t": [[t, nu, delta, noncentral_t(t, nu, delta)] for t, nu, delta in
                     [(2.0, 4, 1.5), (-1.0, 9, 0.5), (0.0, 7, -2.0), (12.0, 65, 11.0), (-41.7, 65, -40.0), (2.26, 9, 0.0), (3.0, 400, 5.0)]],
    "required": [[dz, p, next(n for n in range(2, 5000) if power(dz, n) >= p)] for dz, p in [(0.5, 0.8), (0.2, 0.8), (1.2, 0.8), (0.5, 0.95), (3.0, 0.8)]],
    "bootstrap": [bootstrap("normal", normal(8, 0)[0], 0.95, 299, 1), bootstrap("skewed", [round(rng.expovariate(1), 6) for _ in range(15)], 0.9, 499, 2)],
    "aggregates": [aggregate("6 x 5", scores(6, 5, 0), scores(6, 5, -2)), aggregate("7 x 1", scores(7, 1, 0), scores(7, 1, 0)),
                   aggregate("3 x 4 with ties", [[1.0, 2.0, 2.0, 3.0]] * 3, [[2.0, 2.0, 0.0, 1.0]] * 3)],
    "correction": corrections(),
}, sys.stdout, indent=None, separators=(",", ":"))
print()
