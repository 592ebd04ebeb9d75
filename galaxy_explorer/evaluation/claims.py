"""The report's claims on codebooks, clusters and autoencoders: a table, and the rules that judge.

Each claim names the figures that it rests on and the rule that turns them into a verdict; nothing
of it is typed by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import Any

from galaxy_explorer.bundle.evaluation import Claim, NumberOfClusters
from galaxy_explorer.evaluation.evidence import (
    QUANTIZERS,
    SEEDS_FOR_A_TREND,
    ClaimEstimate,
    Evidence,
    difference,
    sign,
    verdict_of,
)
from galaxy_explorer.evaluation.rows import find_row

Wanted = Mapping[str, Any]  # fields of a row of the evaluation: figure, model, features, clusterer

SMALL, LARGE = "k16-paper-8x8", "k512-paper-8x8"  # the report's two codebooks
CONV, DENSE = "convae-conv", "convae-dense"
ALL_MODELS = (SMALL, "k16-modern-8x8", LARGE, "k512-modern-8x8", CONV, DENSE)
SIDES = (2, 4, 8, 16)
REPORTED = {"features": "index", "clusterer": "gmm"}  # the report's method
LATENTS = {"features": "latents", "clusterer": "gmm"}
KMEANS = {"clusterer": "kmeans"}
KEPT = 0.9  # adjusted Rand index above which a clustering survives a rotation
REPEATABLE = 0.7  # mean pairwise adjusted Rand index
ROTATED = "ARI, rotated by 90 degrees"
FEWER_SEEDS = (
    f" Fewer than {SEEDS_FOR_A_TREND} trainings of some size: a trend cannot be told from the"
    " scatter between trainings."
)
SLOPE_TEST = (
    "least-squares slope against log2 K over all trainings of the 8 x 8 models with"
    f" K = 16 to 512 (of those sizes trained {SEEDS_FOR_A_TREND} times, where there are three such"
    " sizes), both quantizers"
)


@dataclass(frozen=True)
class Judgement:
    """What a rule finds: the figures in order, and its verdict.

    explanation: where it follows from the figures.
    """

    figures: Sequence[ClaimEstimate]
    verdict: str
    explanation: str = ""


@dataclass(frozen=True)
class Row:
    """A figure that a claim rests on.

    chance: not the figure itself, but that of shuffled clusters. less: names of two rows above, of
    which this is the first less the second; it is the difference that is judged.
    """

    name: str
    wanted: Wanted = field(default_factory=dict)
    chance: bool = False
    less: tuple[str, str] | None = None


def _row(name: str, model: str, figure: str, /, **wanted: str) -> Row:
    return Row(name, {"model": model, "figure": figure, **wanted})


def _estimates(evidence: Evidence, rows: Iterable[Row]) -> list[ClaimEstimate]:
    figures: list[ClaimEstimate] = []
    for row in rows:
        if row.less is not None:
            one, other = (next(f for f in figures if f.name == name) for name in row.less)
            figures.append(difference(row.name, one, other))
        elif row.chance:
            found = find_row(evidence.joined, **row.wanted)
            chance = ClaimEstimate(row.name, None)
            if found is not None:
                chance = replace(chance, value=found.chance, n=found.n, seeds=found.seed_count)
            figures.append(chance)
        else:
            figures.append(evidence.estimate(row.name, **row.wanted))
    return figures


def slopes(
    evidence: Evidence, titles: Mapping[str, Wanted], *, positive: bool, ends: bool = False
) -> Judgement:
    """Whether figures change with the codebook as claimed, with both quantizers.

    titles: of each figure, with its row. positive: whether it grows. ends: tell of the two
    codebooks of the report too.
    """
    figures, signs, fewest, parts = [], [], [], []
    for title, wanted in titles.items():
        for quantizer in QUANTIZERS:
            estimate = evidence.trend(f"{title}, {quantizer}", quantizer, **wanted)
            figures.append(estimate)
            enough = estimate.seeds >= SEEDS_FOR_A_TREND
            signs.append(sign(estimate, positive=positive, enough=enough))
            fewest.append(estimate.seeds)
            if estimate.value is None:
                parts.append(f"{quantizer}: not measured")
            elif not (estimate.above_zero or estimate.below_zero):
                parts.append(f"{quantizer}: no trend beyond the scatter")
            else:
                side = "as claimed" if estimate.above_zero == positive else "the opposite"
                parts.append(f"{quantizer}: {side}")
        if ends:
            named = (
                Row(f"{wanted['figure']}, {m}", {"model": m, **wanted}) for m in (SMALL, LARGE)
            )
            figures += _estimates(evidence, named)
    short = FEWER_SEEDS if min(fewest) < SEEDS_FOR_A_TREND else ""
    words = "; ".join(parts).capitalize() + "." + short
    return Judgement(figures, verdict_of(signs), words)


def differences(evidence: Evidence, rows: Sequence[Row]) -> Judgement:
    """For the claim: the interval of each difference among the rows lies above 0."""
    figures = _estimates(evidence, rows)
    judged = [f for f, row in zip(figures, rows, strict=True) if row.less is not None]
    return Judgement(figures, verdict_of(sign(figure, positive=True) for figure in judged))


def below_one(evidence: Evidence, rows: Sequence[Row]) -> Judgement:
    """For the claim: the interval of each row that was measured lies below 1."""
    figures = [figure for figure in _estimates(evidence, rows) if figure.value is not None]
    whole = ClaimEstimate("all of it", 1.0)
    lost = (difference(figure.name, figure, whole) for figure in figures)
    return Judgement(figures, verdict_of(sign(one, positive=False) for one in lost))


def reaches(evidence: Evidence, rows: Sequence[Row], least: float) -> Judgement:
    """For the claim: each row is at least so much; against it: its interval lies below."""
    figures = _estimates(evidence, rows)

    def told(estimate: ClaimEstimate) -> bool | None:
        if estimate.value is None:
            return None
        if estimate.value >= least:
            return True
        return False if estimate.high is None or estimate.high < least else None

    return Judgement(figures, verdict_of(map(told, figures)))


def survives(evidence: Evidence, kept: Sequence[Row], lost: Sequence[Row]) -> Judgement:
    """For the claim: rows of `kept` are at least KEPT, those of `lost` are not.

    It does not hold where the first fail, whatever becomes of the others.
    """
    ours, others = _estimates(evidence, kept), _estimates(evidence, lost)
    first = [None if e.value is None else e.value >= KEPT for e in ours]
    second = [None if e.value is None else e.value < KEPT for e in others]
    verdict = verdict_of(first)
    return Judgement(
        [*ours, *others], verdict if verdict != "holds" else verdict_of([*first, *second])
    )


@dataclass(frozen=True)
class ClaimEntry:
    """A claim of the report: its place there, its words, how it is tested and judged by `judge`."""

    id: str
    section: str
    words: str
    test: str
    rule: str
    judge: Callable[[Evidence], Judgement]
    explanation: str = ""


def judge(entry: ClaimEntry, evidence: Evidence, further: Iterable[ClaimEstimate] = ()) -> Claim:
    """The claim with its figures, those of `further` last, and its verdict."""
    found = entry.judge(evidence)
    measured = [figure.seeds for figure in found.figures if figure.value is not None]
    return Claim(
        id=entry.id,
        section=entry.section,
        words=entry.words,
        test=entry.test,
        rule=entry.rule,
        figures=tuple(figure.figure() for figure in (*found.figures, *further)),
        verdict=found.verdict,
        explanation=entry.explanation or found.explanation,
        seeds=min(measured, default=0),
    )


def judge_all(evidence: Evidence, chosen: Iterable[NumberOfClusters]) -> list[Claim]:
    """Every claim; chosen: the recommended numbers of clusters, told of beside the last."""
    recommended = [
        ClaimEstimate(f"recommended k, {c.model} {c.features}", c.recommended, n=len(c.k))
        for c in chosen
    ]
    told = {CLUSTERS_EQUAL_FEATURES: recommended}
    return [judge(entry, evidence, told.get(entry.id, ())) for entry in CLAIMS]


def _falls_with_k(claim_id: str, words: str, title: str, **wanted: str) -> ClaimEntry:
    """A figure that is smaller with a larger codebook; section 4.3.1."""
    return ClaimEntry(
        id=claim_id,
        section="4.3.1",
        words=words,
        test=f"{title}: {SLOPE_TEST}",
        rule="for: interval of the slope below 0; against: on the other side of 0; paper and"
        " modern",
        judge=partial(slopes, titles={title: wanted}, positive=False, ends=True),
    )


def _counts(kind: str) -> tuple[Row, ...]:
    small, large = f"{kind}, {SMALL}", f"{kind}, {LARGE}"
    return (
        _row(small, SMALL, kind, **REPORTED),
        _row(large, LARGE, kind, **REPORTED),
        Row(f"{kind}, K = 16 less K = 512", less=(small, large)),
    )


def _beyond(model: str) -> tuple[Row, Row]:
    """How well a ConvAE separates, and by how much better than the codebook of 512."""
    name, large = f"eta^2, {model}", f"eta^2, {LARGE}"
    return (
        _row(name, model, "eta^2", **LATENTS),
        Row(f"{model} less {LARGE}", less=(name, large)),
    )


def _worse_than(model: str) -> tuple[Row, Row]:
    """The error of a model, and by how much that of the dense ConvAE is larger."""
    name, dense = f"NMSE, {model}", f"NMSE, {DENSE}"
    return _row(name, model, "NMSE"), Row(f"{DENSE} less {model}", less=(dense, name))


def _features(side: int) -> str:
    return f"NMSE, {side**2} features"


CLUSTERS_EQUAL_FEATURES = "guo"
CLAIMS: tuple[ClaimEntry, ...] = (
    _falls_with_k(
        "reconstruction-k",
        "a smaller codebook has slightly worse reconstruction",
        "NMSE",
        figure="NMSE",
    ),
    _falls_with_k(
        "separation-k-index",
        "a smaller codebook separates types more clearly (with the report's index features)",
        "eta^2 of T",
        figure="eta^2",
        **REPORTED,
    ),
    _falls_with_k(
        "separation-k-codes",
        "a smaller codebook separates types more clearly (with code vectors as features)",
        "eta^2 of T",
        figure="eta^2",
        features="codes",
        clusterer="kmeans",
    ),
    # other numbers for the codes change nothing about galaxies
    _falls_with_k(
        "separation-k-renumbered",
        "a smaller codebook separates types more clearly (index features, codes renumbered)",
        "eta^2 of T after renumbering",
        figure="eta^2, renumbered",
        **REPORTED,
    ),
    ClaimEntry(
        id="renumbering",
        section="4.3.1",
        words="the clusters of the code maps are groups of similar galaxies",
        test="the codebook renumbered at random, the mixture of index features fitted anew:"
        " adjusted Rand index of the two clusterings",
        rule=f"for: the index is at least {KEPT}; against: its interval lies below {KEPT}",
        judge=partial(
            reaches,
            rows=[
                _row(f"ARI after renumbering, {model}", model, "ARI, renumbered", **REPORTED)
                for model in (SMALL, LARGE)
            ],
            least=KEPT,
        ),
        explanation="Code numbers are names: a clustering of galaxies must not depend on them.",
    ),
    ClaimEntry(
        id="early-late-counts",
        section="4.3.1",
        words="about 18 early and 16 late clusters at K = 16, against 12 and 4 to 5 at K = 512",
        test="early and late clusters by the rule of the scoreboard, index features, mixture of 64",
        rule="for: the interval of the difference of K = 16 and K = 512 lies above 0;"
        " against: below; early and late clusters apart",
        judge=partial(differences, rows=(*_counts("early clusters"), *_counts("late clusters"))),
        explanation="The report counted by eye; here a cluster is early or late where the interval"
        " of its share of T <= 0 lies off one half and that of the sample.",
    ),
    ClaimEntry(
        id="hubble-trend",
        section="4.3.1, Fig 15",
        words="clusters of the codebook of 16 show a trend of Hubble type",
        test="share of the variance of T between clusters, against shuffled clusters",
        rule="for: the interval of the excess lies above 0; against: below",
        judge=partial(
            differences,
            rows=(
                _row("eta^2", SMALL, "eta^2", **REPORTED),
                Row(
                    "eta^2 of shuffled clusters",
                    {"model": SMALL, "figure": "eta^2", **REPORTED},
                    chance=True,
                ),
                Row("eta^2 less chance", less=("eta^2", "eta^2 of shuffled clusters")),
            ),
        ),
        explanation="A trend in the mean says nothing of its size: compare the share with what a"
        " supervised network explains.",
    ),
    ClaimEntry(
        id="convae-separation",
        section="4.3.2",
        words="both ConvAEs show a better distinction than the VQ-VAE with a codebook of 512",
        test="share of the variance of T between 64 clusters of a mixture: latents against code"
        " indices",
        rule="for: the interval of the difference lies above 0; against: below; each ConvAE apart",
        judge=partial(
            differences,
            rows=(
                _row(f"eta^2, {LARGE}", LARGE, "eta^2", **REPORTED),
                *_beyond(CONV),
                *_beyond(DENSE),
                _row(
                    "eta^2, K = 512, code vectors",
                    LARGE,
                    "eta^2",
                    features="codes",
                    clusterer="gmm",
                ),
            ),
        ),
        explanation="The last figure is the same VQ-VAE with its code vectors in place of the"
        " indices.",
    ),
    ClaimEntry(
        id="dense-worst",
        section="4.3.2, Fig 16",
        words="the ConvAE with dense layers has the worst reconstruction of the four",
        test="NMSE on the test galaxies",
        rule="for: the interval of the difference lies above 0; against: below; each model apart",
        judge=partial(
            differences,
            rows=(
                _row(f"NMSE, {DENSE}", DENSE, "NMSE"),
                *_worse_than(SMALL),
                *_worse_than(LARGE),
                *_worse_than(CONV),
            ),
        ),
        explanation="Each of the three others counts as one comparison.",
    ),
    ClaimEntry(
        id="rotation",
        section="4.3.2",
        words="VQ-VAE codes might preserve rotation invariance; ConvAEs cannot",
        test="clusters of the test galaxies against those of the same turned by 90 degrees:"
        " adjusted Rand index",
        rule=f"for: at least {KEPT} for the VQ-VAEs, below for the ConvAEs; does not hold where the"
        " VQ-VAEs fail",
        judge=partial(
            survives,
            kept=[_row(f"ARI, {model}", model, ROTATED, **REPORTED) for model in (SMALL, LARGE)],
            lost=[_row(f"ARI, {model}", model, ROTATED, **LATENTS) for model in (CONV, DENSE)],
        ),
        explanation="A mean over the eight orientations makes any of them invariant under quarter"
        " turns: see the rows with orbit mean.",
    ),
    ClaimEntry(
        id="smoother",
        section="5.1",
        words="reconstructed images are smoother than the originals",
        test="scatter of what a Gaussian of 1 px smooths away, reconstruction over original",
        rule="for: the interval lies below 1; against: above; each model apart",
        judge=partial(
            below_one, rows=[_row(model, model, "fine structure kept") for model in ALL_MODELS]
        ),
        explanation="Most of what is lost is the noise of the sky.",
    ),
    ClaimEntry(
        id="noiseless-fainter",
        section="5.1",
        words="with fewer codes reconstructions are relatively noiseless and have lower brightness",
        test="slopes against log2 K of the fine structure and of the light that are kept",
        rule="for: interval of the slope above 0; against: below; both figures, both quantizers",
        judge=partial(
            slopes,
            titles={name: {"figure": name} for name in ("fine structure kept", "light kept")},
            positive=True,
        ),
        explanation="Light within the galaxy's segment, above the sky of the original.",
    ),
    ClaimEntry(
        id="features-reconstruction",
        section="4.3.1",
        words="4, 16, 64 and 256 features were compared by their reconstructions; 64 were taken",
        test="NMSE with maps of 2 x 2 to 16 x 16, K = 512",
        rule="for: each step to more features lowers NMSE by more than its interval",
        judge=partial(
            differences,
            rows=(
                *(_row(_features(n), f"k512-modern-{n}x{n}", "NMSE") for n in SIDES),
                *(
                    Row(f"{_features(a)} less {_features(b)}", less=(_features(a), _features(b)))
                    for a, b in pairwise(SIDES)
                ),
            ),
        ),
        explanation="The claim judged is that more features reconstruct better; the choice of 64"
        " weighs that against the size of the clustering.",
    ),
    ClaimEntry(  # after Guo et al. 2017
        id=CLUSTERS_EQUAL_FEATURES,
        section="4.3.1",
        words="the number of clusters shall be the number of features, 64 (Guo et al. 2017)",
        test="do 64 clusters come back when the galaxies are resampled? mean pairwise adjusted Rand"
        " index on held-out galaxies",
        rule=f"for: the index is at least {REPEATABLE}; against: its interval lies below",
        judge=partial(
            reaches,
            rows=[
                _row(
                    f"bootstrap ARI of 64 clusters, {model}",
                    model,
                    "bootstrap ARI",
                    features=features,
                    **KMEANS,
                )
                for model, features in ((SMALL, "index"), (LARGE, "index"), (LARGE, "codes"))
            ],
            least=REPEATABLE,
        ),
        explanation="The recommended numbers are those of the scoreboard's rule, which saw no"
        " T-type.",
    ),
)
