"""The report's claims on codebooks and clusters, each judged by a rule on measured figures."""

from __future__ import annotations

from collections.abc import Callable

from galaxy_explorer.bundle_evaluation import Claim
from galaxy_explorer.evaluation.evidence import (
    QUANTIZERS,
    SEEDS_FOR_A_TREND,
    Estimate,
    Evidence,
    difference,
    sign,
    verdict_of,
)

SMALL, LARGE = "k16-paper-8x8", "k512-paper-8x8"  # the report's two codebooks
CONV, DENSE = "convae-conv", "convae-dense"
REPORTED = {"features": "index", "clusterer": "gmm"}  # the report's method
KEPT = 0.9  # adjusted Rand index above which a clustering survives a rotation
FEWER_SEEDS = (
    f" Fewer than {SEEDS_FOR_A_TREND} trainings of some size: a trend cannot be told from the"
    " scatter between trainings."
)
SLOPE_TEST = (
    "least-squares slope against log2 K over all trainings of the 8 x 8 models with"
    f" K = 16 to 512 (of those sizes trained {SEEDS_FOR_A_TREND} times, where there are three such"
    " sizes), both quantizers"
)
SLOPE_RULE = "for: interval of the slope {}; against: on the other side of 0; paper and modern"


def _trend(
    evidence: Evidence, title: str, *, positive: bool, **wanted: object
) -> tuple[list[Estimate], list[bool | None], int]:
    """Slopes of both quantizers, their signs, and the fewest trainings of a size."""
    estimates, signs, fewest = [], [], []
    for quantizer in QUANTIZERS:
        estimate, seeds = evidence.trend(f"{title}, {quantizer}", quantizer, **wanted)
        estimates.append(estimate)
        signs.append(sign(estimate, positive=positive, enough=seeds >= SEEDS_FOR_A_TREND))
        fewest.append(seeds)
    return estimates, signs, min(fewest)


def _trend_claim(
    evidence: Evidence,
    claim_id: str,
    words: str,
    title: str,
    *,
    positive: bool,
    section: str = "4.3.1",
    **wanted: object,
) -> Claim:
    estimates, signs, seeds = _trend(evidence, title, positive=positive, **wanted)
    ends = [
        evidence.estimate(f"{wanted['figure']}, {model}", model=model, **wanted)
        for model in (SMALL, LARGE)
    ]
    short = FEWER_SEEDS if seeds < SEEDS_FOR_A_TREND else ""
    return Claim(
        id=claim_id,
        section=section,
        words=words,
        test=f"{title}: {SLOPE_TEST}",
        rule=SLOPE_RULE.format("above 0" if positive else "below 0"),
        figures=tuple(e.figure() for e in (*estimates, *ends)),
        verdict=verdict_of(signs),
        explanation=_slopes_in_words(estimates, positive=positive) + short,
        seeds=seeds,
    )


def _slopes_in_words(estimates: list[Estimate], *, positive: bool) -> str:
    parts = []
    for quantizer, estimate in zip(QUANTIZERS, estimates, strict=True):
        if estimate.value is None:
            parts.append(f"{quantizer}: not measured")
        elif not (estimate.above_zero or estimate.below_zero):
            parts.append(f"{quantizer}: no trend beyond the scatter")
        else:
            side = "as claimed" if estimate.above_zero == positive else "the opposite"
            parts.append(f"{quantizer}: {side}")
    return "; ".join(parts).capitalize() + "."


def smaller_reconstructs_worse(evidence: Evidence) -> Claim:
    """Section 4.3.1: smaller codebooks reconstruct slightly worse."""
    words = "a smaller codebook has slightly worse reconstruction"
    return _trend_claim(evidence, "reconstruction-k", words, "NMSE", positive=False, figure="NMSE")


def smaller_separates_better_index(evidence: Evidence) -> Claim:
    """Section 4.3.1, with the report's features."""
    return _trend_claim(
        evidence,
        "separation-k-index",
        "a smaller codebook separates types more clearly (with the report's index features)",
        "eta^2 of T",
        positive=False,
        figure="eta^2",
        **REPORTED,
    )


def smaller_separates_better_codes(evidence: Evidence) -> Claim:
    """Section 4.3.1, with code vectors as features."""
    return _trend_claim(
        evidence,
        "separation-k-codes",
        "a smaller codebook separates types more clearly (with code vectors as features)",
        "eta^2 of T",
        positive=False,
        figure="eta^2",
        features="codes",
        clusterer="kmeans",
    )


def smaller_separates_better_renumbered(evidence: Evidence) -> Claim:
    """Section 4.3.1, once the codes carry other numbers, which changes nothing about galaxies."""
    return _trend_claim(
        evidence,
        "separation-k-renumbered",
        "a smaller codebook separates types more clearly (index features, codes renumbered)",
        "eta^2 of T after renumbering",
        positive=False,
        figure="eta^2, renumbered",
        **REPORTED,
    )


def index_clusters_survive_renumbering(evidence: Evidence) -> Claim:
    """What the clusters of the report's features rest on: the numbers of the codes."""
    figures = [
        evidence.estimate(
            f"ARI after renumbering, {model}", model=model, figure="ARI, renumbered", **REPORTED
        )
        for model in (SMALL, LARGE)
    ]
    return Claim(
        id="renumbering",
        section="4.3.1",
        words="the clusters of the code maps are groups of similar galaxies",
        test="the codebook renumbered at random, the mixture of index features fitted anew:"
        " adjusted Rand index of the two clusterings",
        rule=f"for: the index is at least {KEPT}; against: its interval lies below {KEPT}",
        figures=tuple(e.figure() for e in figures),
        verdict=verdict_of(_at_least(e, KEPT) for e in figures),
        explanation="Code numbers are names: a clustering of galaxies must not depend on them.",
        seeds=evidence.seed_count(model=LARGE, figure="ARI, renumbered", **REPORTED),
    )


def _at_least(estimate: Estimate, least: float) -> bool | None:
    if estimate.value is None:
        return None
    if estimate.value >= least:
        return True
    return False if estimate.high is None or estimate.high < least else None


def more_early_and_late_clusters(evidence: Evidence) -> Claim:
    """Section 4.3.1: 18 early and 16 late clusters at K = 16, 12 and 4 to 5 at K = 512."""
    figures, signs = [], []
    for kind in ("early clusters", "late clusters"):
        small, large = (
            evidence.estimate(f"{kind}, {model}", model=model, figure=kind, **REPORTED)
            for model in (SMALL, LARGE)
        )
        more = difference(f"{kind}, K = 16 less K = 512", small, large)
        figures += [small, large, more]
        signs.append(sign(more, positive=True))
    return Claim(
        id="early-late-counts",
        section="4.3.1",
        words="about 18 early and 16 late clusters at K = 16, against 12 and 4 to 5 at K = 512",
        test="early and late clusters by the rule of the scoreboard, index features, mixture of 64",
        rule="for: the interval of the difference of K = 16 and K = 512 lies above 0;"
        " against: below; early and late clusters apart",
        figures=tuple(e.figure() for e in figures),
        verdict=verdict_of(signs),
        explanation="The report counted by eye; here a cluster is early or late where the interval"
        " of its share of T <= 0 lies off that of the sample.",
        seeds=evidence.seed_count(model=SMALL, figure="early clusters", **REPORTED),
    )


def hubble_trend(evidence: Evidence) -> Claim:
    """Fig 15: a Hubble-type trend across the clusters of K = 16."""
    figure = evidence.estimate("eta^2", model=SMALL, figure="eta^2", **REPORTED)
    row_chance = next(
        (
            row.chance
            for row in evidence.joined
            if (row.model, row.features, row.clusterer) == (SMALL, *REPORTED.values())
            and row.figure == "eta^2"
        ),
        None,
    )
    chance = Estimate("eta^2 of shuffled clusters", row_chance, n=figure.n)
    excess = difference("eta^2 less chance", figure, chance)
    return Claim(
        id="hubble-trend",
        section="4.3.1, Fig 15",
        words="clusters of the codebook of 16 show a trend of Hubble type",
        test="share of the variance of T between clusters, against shuffled clusters",
        rule="for: the interval of the excess lies above 0; against: below",
        figures=tuple(e.figure() for e in (figure, chance, excess)),
        verdict=verdict_of([sign(excess, positive=True)]),
        explanation="A trend in the mean says nothing of its size: compare the share with what a"
        " supervised network explains.",
        seeds=evidence.seed_count(model=SMALL, figure="eta^2", **REPORTED),
    )


CLAIMS: tuple[Callable[[Evidence], Claim], ...] = (
    smaller_reconstructs_worse,
    smaller_separates_better_index,
    smaller_separates_better_codes,
    smaller_separates_better_renumbered,
    index_clusters_survive_renumbering,
    more_early_and_late_clusters,
    hubble_trend,
)
