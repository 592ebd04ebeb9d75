"""What a cluster is called, from what is known of its members, and what each word rests on.

A word holds of a cluster if the label it needs is known of at least 30 % of the members (and of
8), and the 95 % interval (Wilson) of the share of those of whom it holds lies above one half: it
then excludes the opposite. An adjective must also hold more often than in the whole survey. The
noun is what volunteers saw, else early or late by T; the middle half of the T goes with it; one
attribute that experts gave follows. Clusters that would have the same name are told apart by what
is more frequent in one of them than in all of them together, where nothing is much more so by what
is slightly more frequent, and where there is no such thing by a number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.clustering.summary import EARLY_TTYPE, covered
from galaxy_explorer.utils.resampling import share_interval

MAJORITY = 0.5
LEAST_DIFFERENCE = 0.05
"""Between the shares of clusters of one name, for a word that tells them apart by itself; by less
they differ slightly, and by less than the 95 % interval not at all."""
TTYPE = "ttype"
STAGES = (
    *("E", "E", "E", "S0", "S0", "S0", "S0/a", "Sa", "Sab", "Sb", "Sbc", "Sc", "Scd", "Sd"),
    *("Sdm", "Sm", "Im"),
)
FIRST_STAGE = -6


@dataclass(frozen=True)
class Word:
    """A property of one galaxy, and how a cluster is called of which it holds.

    It holds where the column has one of the texts, or a number from low to high. says: "86 % are
    ..."; name: what it adds to a name; more: what it adds where it tells namesakes apart, "" if it
    never does. disc: as a noun, that the range of T goes before it.
    """

    column: str
    says: str
    name: str = ""
    more: str = ""
    texts: tuple[str, ...] = ()
    low: float = -np.inf
    high: float = np.inf
    disc: bool = False

    def known(self, values: NDArray[np.generic]) -> NDArray[np.bool_]:
        """Of which galaxies the column says anything."""
        if self.texts:
            return np.asarray(values.astype(str) != "")
        return np.asarray(np.isfinite(values.astype(np.float64)))

    def holds(self, values: NDArray[np.generic]) -> NDArray[np.bool_]:
        """Of which galaxies the word holds."""
        if self.texts:
            return np.isin(values.astype(str), self.texts)
        numbers = values.astype(np.float64)
        return np.asarray((numbers >= self.low) & (numbers <= self.high))


def _seen(column: str, texts: str, says: str, name: str, more: str = "", *, disc: bool) -> Word:
    return Word(column, says, name, more, tuple(texts.split()), disc=disc)


ZOO_2, ZOO_1 = "class", "class_name"  # five classes of Galaxy Zoo 2; those of Galaxy Zoo 1
NOUNS = (
    _seen(
        ZOO_2, "round", "smooth and round", "smooth and round", "with more round ones", disc=False
    ),
    _seen(
        ZOO_2, "in_between", "smooth and oval", "smooth and oval", "with more oval ones", disc=False
    ),
    _seen(
        ZOO_2, "cigar", "cigar-shaped", "smooth and cigar-shaped", "with more long ones", disc=False
    ),
    _seen(ZOO_2, "edge_on", "edge-on discs", "edge-on discs", "with more edge-on discs", disc=True),
    _seen(ZOO_2, "spiral", "spirals", "spirals", "with more spirals", disc=True),
    _seen(ZOO_1, "elliptical", "ellipticals", "ellipticals", "with more ellipticals", disc=False),
    _seen(ZOO_1, "edge_on", "edge-on discs", "edge-on discs", "with more edge-on discs", disc=True),
    _seen(ZOO_1, "spiral_cw spiral_acw", "spirals", "spirals", "with more spirals", disc=True),
    _seen(ZOO_1, "merger", "mergers", "mergers", "with more mergers", disc=False),
    # wider ones, where no single class has the majority
    _seen(ZOO_2, "round in_between", "smooth, round or oval", "smooth, round to oval", disc=False),
    _seen(ZOO_2, "round in_between cigar", "smooth", "smooth galaxies", disc=False),
    _seen(ZOO_2, "edge_on spiral", "spirals or edge-on discs", "discs", disc=True),
    _seen(ZOO_1, "edge_on spiral_cw spiral_acw", "spirals or edge-on discs", "discs", disc=True),
)
EARLY = Word(TTYPE, "T ≤ 0", "early types", "earlier types", high=EARLY_TTYPE)
LATE = Word(TTYPE, "T > 0", "late types", "later types", low=float(np.nextafter(EARLY_TTYPE, 1)))
ADJECTIVES = (  # EFIGI (Baillard et al. 2011): from 0, none, to 1, the most there is
    Word("bar_length", "barred", "barred", "more often barred", low=0.25),
    Word("inner_ring", "with an inner ring", "with inner rings", "more inner rings", low=0.25),
    Word("arm_strength", "with strong arms", "with strong arms", "stronger arms", low=0.5),
    Word("flocculence", "flocculent", "flocculent", "more flocculent", low=0.5),
    Word("bulge_to_total", "with a large bulge", "with large bulges", "larger bulges", low=0.75),
    Word("bulge_to_total", "with a small bulge", "with small bulges", "smaller bulges", high=0.25),
    Word("visible_dust", "dusty", "dusty", "dustier", low=0.5),
    Word("perturbation", "disturbed", "disturbed", "more often disturbed", low=0.5),
    Word("hot_spots", "with hot spots", "with hot spots", "more hot spots", low=0.5),
    Word("inclination", "seen face-on", "face-on", "more face-on", high=0.25),
    Word("inclination", "seen edge-on", "edge-on", "more edge-on", low=0.75),
)
OUTLINES = (  # measured on every picture; of anything but discs the noun says it better
    Word("axis_ratio", "of axis ratio 0.5 or less", "inclined", "flatter outlines", high=0.5),
    Word("axis_ratio", "of axis ratio 0.8 or more", more="rounder outlines", low=0.8),
)
WORDS = (*NOUNS, EARLY, LATE, *ADJECTIVES, *OUTLINES)
COLUMNS = tuple(dict.fromkeys(word.column for word in WORDS))
"""Columns of the catalogue that names are made of, as far as they are there."""
FEW = 100  # members, of whom no percentages are told
LABELS = {ZOO_2: "Galaxy Zoo class", ZOO_1: "Galaxy Zoo class", TTYPE: "T"}


@dataclass(frozen=True)
class WordEvidence:
    """What one word of a name rests on.

    says: what holds of a share `value` of the `known` members with that `label`, of `count` in
    all; low, high: 95 % interval (Wilson); others: the same share in the whole survey, or, of a
    word that tells namesakes apart, in all of them together.
    """

    says: str
    label: str
    value: float
    low: float
    high: float
    others: float
    known: int
    count: int
    among: str = "all galaxies"

    @property
    def sentence(self) -> str:
        """All of it in words."""
        share, low, high, others = (
            f"{100 * part:.0f}" for part in (self.value, self.low, self.high, self.others)
        )
        return (
            f"{share} % {self.says} ({low} to {high} %; {others} % of {self.among}), of the"
            f" {self.known:,} members with a {self.label} ({100 * self.known / self.count:.0f} %)"
        )


@dataclass(frozen=True)
class ClusterName:
    """What a cluster is called; unlike those of all other clusters of its clustering.

    evidence: of each word, empty where nothing is known of enough members.
    """

    name: str
    evidence: tuple[WordEvidence, ...] = ()

    @property
    def sentences(self) -> str:
        """The evidence in words."""
        return "; ".join(one.sentence for one in self.evidence)


class _Shares:
    """How often a word holds in each of K clusters."""

    def __init__(
        self, word: Word, values: NDArray[np.generic], labels: NDArray[np.integer], k: int
    ) -> None:
        known = word.known(values)
        holds = word.holds(values) & known
        self.word = word
        self.counts = np.bincount(labels, minlength=k)
        self.known = np.bincount(labels[known], minlength=k)
        self.hits = np.bincount(labels[holds], minlength=k)
        self.low, self.high = share_interval(self.hits, self.known)
        self.value = self.hits / np.maximum(self.known, 1)
        self.overall = float(holds.sum() / max(int(known.sum()), 1))
        self.covered = covered(self.known, self.counts)

    def evidence(self, cluster: int, others: float | None = None) -> WordEvidence:
        """What it says of one cluster; others: share among namesakes, else in the survey."""
        told: dict[str, str] = {} if others is None else {"among": "clusters of that name"}
        return WordEvidence(
            self.word.says,
            LABELS.get(self.word.column, "stated " + self.word.column.replace("_", " ")),
            float(self.value[cluster]),
            float(self.low[cluster]),
            float(self.high[cluster]),
            self.overall if others is None else others,
            int(self.known[cluster]),
            int(self.counts[cluster]),
            **told,
        )


def name_clusters(
    labels: NDArray[np.integer], columns: Mapping[str, NDArray[np.generic]], k: int
) -> tuple[ClusterName, ...]:
    """Names of K clusters, all different.

    labels (N,) 0..k-1; columns (N,): of the catalogue, those of COLUMNS that it has; texts are ""
    and numbers NaN where nothing is known. The order of the galaxies does not matter.
    """
    shares = {
        word: _Shares(word, columns[word.column], labels, k)
        for word in WORDS
        if word.column in columns
    }
    names, evidence = [], []
    for cluster in range(k):
        members = labels == cluster
        ttype = columns[TTYPE][members] if TTYPE in columns else np.empty(0)
        name, found = _base(cluster, shares, ttype.astype(np.float64))
        names.append(name if members.any() else "empty")
        evidence.append(found)
    for least in (LEAST_DIFFERENCE, LEAST_DIFFERENCE, 0.0):
        _tell_apart(names, evidence, shares, least)
    for namesakes in _namesakes(names):
        for number, cluster in enumerate(namesakes, 1):
            names[cluster] += f" ({number})"
    return tuple(
        ClusterName(name, tuple(found)) for name, found in zip(names, evidence, strict=True)
    )


def _base(
    cluster: int, shares: Mapping[Word, _Shares], ttype: NDArray[np.float64]
) -> tuple[str, list[WordEvidence]]:
    """The name of a cluster by itself, and what it rests on."""

    def holds(word: Word) -> bool:
        one = shares.get(word)
        return one is not None and bool(one.covered[cluster] and one.low[cluster] > MAJORITY)

    noun = next((word for word in NOUNS if holds(word)), None)
    side = next((word for word in (EARLY, LATE) if holds(word)), None)
    typed = EARLY in shares and bool(shares[EARLY].covered[cluster])
    excess = {
        word: float(shares[word].low[cluster] - shares[word].overall)
        for word in (*ADJECTIVES, *(OUTLINES[:1] if noun and noun.name == "discs" else ()))
        if holds(word)
    }
    adjective = max(excess, key=lambda word: excess[word], default=None)
    if adjective is not None and excess[adjective] <= 0:
        adjective = None
    found = [shares[word].evidence(cluster) for word in (noun, side, adjective) if word is not None]
    name = noun.name if noun else side.name if side else ""
    if typed:
        stages = _stages(ttype)
        in_front = noun is not None and noun.disc
        name = f"{stages} {name}" if in_front else f"{name or 'early and late types'}, {stages}"
        if side is None:
            found.append(shares[EARLY].evidence(cluster))
    seen = [s for w, s in shares.items() if w in NOUNS and w.more and s.covered[cluster]]
    if not name and seen:
        name = "mixed shapes"
        found += [s.evidence(cluster) for s in sorted(seen, key=lambda s: -s.value[cluster])[:2]]
    if adjective is not None:
        name = f"{name or 'galaxies'}, {adjective.name}"
    return name or _unnamed(cluster, shares), found


def _stages(ttype: NDArray[np.float64]) -> str:
    """The middle half of the T (n,), NaN unknown, as stages: "Sb to Sc"."""
    return stage_words(*np.nanpercentile(ttype, [25, 75]))


def stage_words(low: float, high: float) -> str:
    """A range of T in stages of the Hubble sequence: "Sb to Sc"; one where both ends are it."""
    ends = np.round([low, high]).astype(int) - FIRST_STAGE
    first, last = (STAGES[place] for place in ends.clip(0, len(STAGES) - 1))
    return first if first == last else f"{first} to {last}"


def _unnamed(cluster: int, shares: Mapping[Word, _Shares]) -> str:
    """Why there is no name: how many have the label that most have."""
    told = {w: s for w, s in shares.items() if w.column in LABELS}
    best = max(told, key=lambda word: int(told[word].known[cluster]), default=None)
    if best is None:
        return "unnamed, no galaxy has a T or a class"
    known, count = int(told[best].known[cluster]), int(told[best].counts[cluster])
    few = f"{known} of {count}" if count < FEW else f"{100 * known / count:.0f} %"
    return f"unnamed, {few} have a {LABELS[best.column]}"


def _namesakes(names: Sequence[str]) -> list[list[int]]:
    """Clusters that share a name with others."""
    order = sorted(range(len(names)), key=lambda cluster: (names[cluster], cluster))
    groups = [list(same) for _, same in groupby(order, key=lambda cluster: names[cluster])]
    return [group for group in groups if len(group) > 1]


def _tell_apart(
    names: list[str],
    evidence: list[list[WordEvidence]],
    shares: Mapping[Word, _Shares],
    least: float,
) -> None:
    """Add to the names of namesakes what is more frequent in one than in all of them together.

    least: difference of the shares; 0 for whatever the interval excludes, which is called slight.
    """
    for group in _namesakes(names):
        best: dict[int, tuple[float, Word, float]] = {}
        for word, one in shares.items():
            if not word.more or not one.covered[group].all() or not one.known[group].any():
                continue
            pooled = float(one.hits[group].sum() / one.known[group].sum())
            for cluster in group:
                lift = float(one.low[cluster]) - pooled
                large = one.value[cluster] - pooled >= least
                new = word.says not in {one.says for one in evidence[cluster]}
                if large and new and lift > max(0.0, best.get(cluster, (0.0,))[0]):
                    best[cluster] = lift, word, pooled
        for cluster, (_, word, pooled) in best.items():
            names[cluster] += f", {word.more if least else _slightly(word.more)}"
            evidence[cluster].append(shares[word].evidence(cluster, pooled))


def _slightly(more: str) -> str:
    """What is more frequent, of a small difference: "with slightly more spirals"."""
    before, found, after = more.partition("more ")
    return f"{before}slightly more {after}" if found else f"slightly {more}"
