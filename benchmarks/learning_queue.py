"""What the queue that learns saves: early or late told after n labels, against random order.

    python -m benchmarks.learning_queue trained/sdss

Labels are the hidden T of the experts of EFIGI (early: T <= 0), asked for one batch of 20 after the
other among the training galaxies; a linear probe on the bundle's features is then judged on
galaxies of another split that nobody labelled. The rules of asking are compared on the validation
split; the rule that the app has and random order are reported on the test split. Ten runs, which
differ in the first 20 galaxies; the interval is that of their mean (Student).
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from galaxy_explorer.bundle.bundle import load_bundle
from galaxy_explorer.labels.probe import (
    EARLY,
    LATE,
    PRIOR,
    REFIT_EVERY,
    Lessons,
    Probe,
    fit_probe,
    next_rows,
    standardised,
)
from galaxy_explorer.pipeline.steering import linear_features
from galaxy_explorer.utils.resampling import mean_interval

RUNS = 10
ASKED = (20, 50, 100, 200)
MORE = (400, 800)
"""Random labels that 100 learnt ones are held against as well."""
PER_CLUSTER = 4
Rule = Callable[..., np.ndarray]


class Hidden:
    """The features, the experts' answers, and who may be asked for them."""

    def __init__(self, path: Path) -> None:
        bundle = load_bundle(path)
        key = bundle.manifest.default_clustering
        self.features = standardised(linear_features(bundle, key)[0])
        self.clusters = bundle.clusterings[key].labels
        ttype, split = bundle.column("ttype"), bundle.column("split")
        experts = (bundle.column("source") == "efigi") & np.isfinite(ttype)
        self.late = (ttype > 0).astype(np.int64)
        self.asked = np.flatnonzero(experts & (split == "train"))
        self.judged = {
            name: np.flatnonzero(experts & (split == name)) for name in ("validation", "test")
        }

    def probe(self, rows: np.ndarray) -> Probe | None:
        """What the answers for some galaxies teach; None: too few to learn from."""
        labels = Lessons(rows, self.late[rows], (EARLY, LATE))
        return fit_probe(self.features, labels) if labels.enough else None

    def share_right(self, rows: np.ndarray, split: str) -> float:
        """Share of a split's galaxies told right by the answers for some others."""
        judged, probe = self.judged[split], self.probe(rows)
        if probe is None:  # all alike so far
            return float((self.late[judged] == round(self.late[rows].mean())).mean())
        return float((probe.classes[judged] == self.late[judged]).mean())


def at_random(hidden: Hidden, left: np.ndarray, probe: Probe) -> np.ndarray:  # noqa: ARG001
    """As they come."""
    return left


def uncertain(hidden: Hidden, left: np.ndarray, probe: Probe) -> np.ndarray:  # noqa: ARG001
    """The least certain first."""
    return left[np.argsort(-probe.uncertainty[left], kind="stable")]


def uncertain_by_cluster(hidden: Hidden, left: np.ndarray, probe: Probe) -> np.ndarray:
    """The least certain first, at most four of a cluster in a batch."""
    seen: Counter[int] = Counter()
    chosen: list[int] = []
    rest: list[int] = []
    for row in uncertain(hidden, left, probe):
        cluster = int(hidden.clusters[row])
        seen[cluster] += 1
        (chosen if seen[cluster] <= PER_CLUSTER else rest).append(row)
    return np.array([*chosen, *rest])


def uncertain_apart(hidden: Hidden, left: np.ndarray, probe: Probe) -> np.ndarray:
    """The rule of the app: of the least certain those that lie furthest apart."""
    return next_rows(hidden.features, left, probe)


def least_variance(hidden: Hidden, left: np.ndarray, probe: Probe) -> np.ndarray:
    """Those that are expected to reduce the variance of all predictions most, one by one."""
    everyone = np.hstack([hidden.features, np.ones((len(hidden.features), 1))])
    late = probe.shares[:, 1]
    weight = late * (1 - late)
    known = np.setdiff1d(hidden.asked, left)
    bend = (everyone[known] * weight[known, None]).T @ everyone[known]
    covariance = np.linalg.inv(bend + np.diag([PRIOR] * hidden.features.shape[1] + [0.01]))
    asked = everyone[hidden.asked]
    matters = (asked * np.square(weight[hidden.asked])[:, None]).T @ asked
    chosen: list[int] = []
    values, own = everyone[left], weight[left]
    for _ in range(REFIT_EVERY):
        reach = values @ covariance
        gain = own * ((reach @ matters) * reach).sum(1) / (1 + own * (reach * values).sum(1))
        gain[chosen] = -1
        best = int(gain.argmax())
        step = covariance @ values[best]
        covariance -= np.outer(step, step) * own[best] / (1 + own[best] * (step @ values[best]))
        chosen.append(best)
    return np.concatenate([left[chosen], np.delete(left, chosen)])


RULES: dict[str, Rule] = {
    "random order": at_random,
    "uncertainty": uncertain,
    "uncertainty, at most 4 of a cluster": uncertain_by_cluster,
    "uncertainty, far apart (the app's)": uncertain_apart,
    "expected variance reduction": least_variance,
}


def run(hidden: Hidden, rule: Rule, seed: int, split: str, most: int) -> list[float]:
    """Share told right after each number of labels up to `most`."""
    left = np.random.default_rng(seed).permutation(hidden.asked)
    given = left[:0]
    while len(given) < most:
        probe = hidden.probe(given) if len(given) else None
        order = left if probe is None else rule(hidden, left, probe)
        given = np.concatenate([given, order[:REFIT_EVERY]])
        left = left[~np.isin(left, given)]
    return [hidden.share_right(given[:n], split) for n in (*ASKED, *MORE) if n <= most]


def in_words(figures: Any) -> str:
    """The mean of the runs in per cent, with its interval."""
    found = mean_interval(figures)
    return f"{100 * found.value:.1f} [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def main() -> None:
    """Print a line for each rule and split."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", nargs="?", type=Path, default=Path("trained/sdss"))
    hidden = Hidden(parser.parse_args().bundle)
    print(f"{len(hidden.asked)} galaxies may be asked for")
    found: dict[str, np.ndarray] = {}
    for split, judged in hidden.judged.items():
        commonest = max(hidden.late[judged].mean(), 1 - hidden.late[judged].mean())
        ceiling = hidden.share_right(hidden.asked, split)
        print(f"{split}: {len(judged)} galaxies; always late {100 * commonest:.1f} %,"
              f" all labels {100 * ceiling:.1f} %")  # fmt: skip
        for name, rule in RULES.items():
            if split == "test" and rule not in {at_random, uncertain_apart}:
                continue
            most = max(MORE) if rule is at_random else max(ASKED)
            runs = np.array([run(hidden, rule, seed, split, most) for seed in range(RUNS)])
            found[name] = runs
            words = "; ".join(
                f"{n}: {in_words(runs[:, place])}"
                for place, n in enumerate((*ASKED, *MORE)[: runs.shape[1]])
            )
            print(f"  {name}: {words}", flush=True)
        learnt, random = found["uncertainty, far apart (the app's)"], found["random order"]
        for place, n in enumerate(ASKED):
            gain = in_words(learnt[:, place] - random[:, place])
            print(f"  app's less random, {n} labels: {gain}")
        for place, n in enumerate((*ASKED, *MORE)):
            gain = in_words(learnt[:, ASKED.index(100)] - random[:, place])
            print(f"  100 of the app's less {n} random ones: {gain}")


if __name__ == "__main__":
    main()
