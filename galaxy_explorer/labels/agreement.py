"""How far annotators agree: kappas, disagreements, majority. Pure functions of what they said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from galaxy_explorer.labels.scheme import NOTE, STAGE
from galaxy_explorer.labels.store import NOTHING, Annotations

NO = "no"
"""What an annotator says of a feature of a galaxy that has other labels of theirs."""
Ratings = dict[str, dict[str, str]]
"""Annotator -> galaxy -> label."""


def ratings(layers: Mapping[str, Annotations], aspect: str = STAGE) -> Ratings:
    """What each annotator said of an aspect of the galaxies they labelled one by one.

    Who labelled a galaxy without giving it a feature said "no" to the feature; who gave no stage
    said nothing about the stage. Labels spread from clusters and selections do not count.
    """
    said: Ratings = {}
    for name, layer in layers.items():
        labels = {
            galaxy: values.get(aspect, NOTHING).label or ("" if aspect == STAGE else NO)
            for galaxy, values in layer.galaxies().items()
            if set(values) != {NOTE}
        }
        said[name] = {galaxy: label for galaxy, label in labels.items() if label}
    return said


def cohen_kappa(
    first: Sequence[str], second: Sequence[str], *, order: Sequence[str] | None = None
) -> float:
    """Cohen's (1960) kappa of two raters of the same galaxies, in the same order.

    order: weighs a disagreement by the square of the distance between the two labels in this order
    (Cohen 1968), so that Sb against Sbc counts less than Sb against E. NaN where there is nothing
    to compare or chance alone would agree always.
    """
    names = sorted({*first, *second}) if order is None else list(order)
    place = {name: i for i, name in enumerate(names)}
    table = np.zeros((len(names), len(names)))
    for one, other in zip(first, second, strict=True):
        table[place[one], place[other]] += 1
    weights = 1.0 - np.eye(len(names))
    if order is not None:
        steps = np.arange(len(names))
        weights = (steps[:, None] - steps[None, :]).astype(float) ** 2
    by_chance = np.outer(table.sum(1), table.sum(0)) / max(1.0, table.sum())
    expected = float((weights * by_chance).sum())
    return 1.0 - float((weights * table).sum()) / expected if expected else float("nan")


def fleiss_kappa(counts: ArrayLike) -> float:
    """Fleiss' (1971) kappa of `counts` (n galaxies, k labels): how many raters chose which label.

    Every galaxy has the same number of raters, at least two. NaN where there is nothing to compare
    or all chose one label throughout. Raises ValueError for unequal numbers of raters.
    """
    table = np.asarray(counts, float)
    if not table.size:
        return float("nan")
    raters = table.sum(1)
    if (raters != raters[0]).any() or raters[0] < 2:
        raise ValueError("every galaxy needs the same number of raters, at least two")
    n = raters[0]
    observed = float(((table**2).sum(1) - n).mean() / (n * (n - 1)))
    expected = float(((table.sum(0) / table.sum()) ** 2).sum())
    return (observed - expected) / (1 - expected) if expected < 1 else float("nan")


@dataclass(frozen=True)
class PairAgreement:
    """Two annotators: n galaxies both labelled, share with the same label, kappas."""

    first: str
    second: str
    n: int
    same: float
    kappa: float
    weighted: float


def pair_agreements(said: Ratings, order: Sequence[str] = ()) -> list[PairAgreement]:
    """Every pair of annotators with galaxies in common.

    order: the labels that have one, for the weighted kappa; others are left out of that.
    """
    found = []
    for a, b in combinations(sorted(said), 2):
        common = [galaxy for galaxy in said[a] if galaxy in said[b]]
        if not common:
            continue
        first, second = ([said[name][galaxy] for galaxy in common] for name in (a, b))
        both = list(zip(first, second, strict=True))
        same = float(np.mean([x == y for x, y in both]))
        ranked = [pair for pair in both if set(pair) <= set(order)]
        weighted = float("nan")
        if ranked:
            x, y = ([pair[i] for pair in ranked] for i in (0, 1))
            weighted = cohen_kappa(x, y, order=list(order))
        kappa = cohen_kappa(first, second)
        found.append(PairAgreement(a, b, len(common), same, kappa, weighted))
    return found


def fleiss(said: Ratings) -> tuple[float, int, int]:
    """Fleiss' kappa over the galaxies that every annotator labelled; how many, by how many.

    Annotators who labelled nothing of the aspect do not count.
    """
    active = [labels for labels in said.values() if labels]
    if len(active) < 2:
        return float("nan"), 0, len(active)
    common = sorted(set(active[0]).intersection(*active[1:]))
    names = sorted({labels[galaxy] for labels in active for galaxy in common})
    counts = [[sum(one[galaxy] == name for one in active) for name in names] for galaxy in common]
    return fleiss_kappa(counts), len(common), len(active)


def disagreements(said: Ratings, order: Sequence[str] = ()) -> list[str]:
    """Galaxies with more than one label, the widest apart in `order` first."""
    labels: dict[str, set[str]] = {}
    for one in said.values():
        for galaxy, label in one.items():
            labels.setdefault(galaxy, set()).add(label)
    place = {label: i for i, label in enumerate(order)}
    apart = {}
    for galaxy, different in labels.items():
        if len(different) > 1:
            places = [place[label] for label in different if label in place]
            apart[galaxy] = max(places) - min(places) if places else 0
    return sorted(apart, key=lambda galaxy: (-apart[galaxy], galaxy))


def majority(labels: Sequence[str]) -> tuple[str, int]:
    """The label that most chose and how many did; empty if several share the first place."""
    votes = Counter(labels).most_common(2)
    if not votes:
        return "", 0
    tied = len(votes) > 1 and votes[0][1] == votes[1][1]
    return "" if tied else votes[0][0], votes[0][1]
