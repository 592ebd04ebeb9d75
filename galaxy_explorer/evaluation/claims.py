"""The report's claims on codebooks and clusters, each judged by a rule on measured figures.

The report's claims on ConvAEs, rotation, smoothness and the choice of numbers, judged.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from galaxy_explorer.bundle.evaluation import Claim, NumberOfClusters
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
        explanation=_format_slopes(estimates, positive=positive) + short,
        seeds=seeds,
    )


def _format_slopes(estimates: list[Estimate], *, positive: bool) -> str:
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


LATENTS = {"features": "latents", "clusterer": "gmm"}
SIDES = (2, 4, 8, 16)
REPEATABLE = 0.7  # mean pairwise adjusted Rand index
ALL_MODELS = (SMALL, "k16-modern-8x8", LARGE, "k512-modern-8x8", CONV, DENSE)


def convaes_separate_better(evidence: Evidence) -> Claim:
    """Section 4.3.2: both ConvAEs separate better than K = 512."""
    large = evidence.estimate(f"eta^2, {LARGE}", model=LARGE, figure="eta^2", **REPORTED)
    figures, signs = [large], []
    for model in (CONV, DENSE):
        found = evidence.estimate(f"eta^2, {model}", model=model, figure="eta^2", **LATENTS)
        more = difference(f"{model} less {LARGE}", found, large)
        figures += [found, more]
        signs.append(sign(more, positive=True))
    codes = evidence.estimate(
        "eta^2, K = 512, code vectors",
        model=LARGE,
        figure="eta^2",
        features="codes",
        clusterer="gmm",
    )
    return Claim(
        id="convae-separation",
        section="4.3.2",
        words="both ConvAEs show a better distinction than the VQ-VAE with a codebook of 512",
        test="share of the variance of T between 64 clusters of a mixture: latents against code"
        " indices",
        rule="for: the interval of the difference lies above 0; against: below; each ConvAE apart",
        figures=tuple(e.figure() for e in (*figures, codes)),
        verdict=verdict_of(signs),
        explanation="The last figure is the same VQ-VAE with its code vectors in place of the"
        " indices.",
        seeds=evidence.seed_count(model=CONV, figure="eta^2", **LATENTS),
    )


def dense_reconstructs_worst(evidence: Evidence) -> Claim:
    """Section 4.3.2, Fig 16: the ConvAE with dense layers reconstructs worst of the four."""
    dense = evidence.estimate(f"NMSE, {DENSE}", model=DENSE, figure="NMSE")
    figures, signs = [dense], []
    for model in (SMALL, LARGE, CONV):
        other = evidence.estimate(f"NMSE, {model}", model=model, figure="NMSE")
        more = difference(f"{DENSE} less {model}", dense, other)
        figures += [other, more]
        signs.append(sign(more, positive=True))
    return Claim(
        id="dense-worst",
        section="4.3.2, Fig 16",
        words="the ConvAE with dense layers has the worst reconstruction of the four",
        test="NMSE on the test galaxies",
        rule="for: the interval of the difference lies above 0; against: below; each model apart",
        figures=tuple(e.figure() for e in figures),
        verdict=verdict_of(signs),
        explanation="Each of the three others counts as one comparison.",
        seeds=evidence.seed_count(model=DENSE, figure="NMSE"),
    )


def rotation(evidence: Evidence) -> Claim:
    """Section 4.3.2: the VQ-VAE keeps rotation invariance, ConvAEs do not."""
    name = "ARI, rotated by 90 degrees"
    codes = [
        evidence.estimate(f"ARI, {model}", model=model, figure=name, **REPORTED)
        for model in (SMALL, LARGE)
    ]
    latents = [
        evidence.estimate(f"ARI, {model}", model=model, figure=name, **LATENTS)
        for model in (CONV, DENSE)
    ]
    signs = [*(_kept(e) for e in codes), *(_not(_kept(e)) for e in latents)]
    vq_keeps = verdict_of(signs[:2])
    return Claim(
        id="rotation",
        section="4.3.2",
        words="VQ-VAE codes might preserve rotation invariance; ConvAEs cannot",
        test="clusters of the test galaxies against those of the same turned by 90 degrees:"
        " adjusted Rand index",
        rule=f"for: at least {KEPT} for the VQ-VAEs, below for the ConvAEs; does not hold where the"
        " VQ-VAEs fail",
        figures=tuple(e.figure() for e in (*codes, *latents)),
        verdict=vq_keeps if vq_keeps != "holds" else verdict_of(signs),
        explanation="A mean over the eight orientations makes any of them invariant under quarter"
        " turns: see the rows with orbit mean.",
        seeds=evidence.seed_count(model=LARGE, figure=name, **REPORTED),
    )


def _kept(estimate: Estimate) -> bool | None:
    if estimate.value is None:
        return None
    return estimate.value >= KEPT


def _not(value: bool | None) -> bool | None:  # noqa: FBT001
    return None if value is None else not value


def smoother_than_originals(evidence: Evidence) -> Claim:
    """Section 5.1: reconstructions are smoother than the originals."""
    figures, signs = [], []
    for model in ALL_MODELS:
        kept = evidence.estimate(model, model=model, figure="fine structure kept")
        if kept.value is not None:
            figures.append(kept)
            lost = difference(model, kept, Estimate("all of it", 1.0))
            signs.append(sign(lost, positive=False))
    return Claim(
        id="smoother",
        section="5.1",
        words="reconstructed images are smoother than the originals",
        test="scatter of what a Gaussian of 1 px smooths away, reconstruction over original",
        rule="for: the interval lies below 1; against: above; each model apart",
        figures=tuple(e.figure() for e in figures),
        verdict=verdict_of(signs),
        explanation="Most of what is lost is the noise of the sky.",
        seeds=evidence.seed_count(model=SMALL, figure="fine structure kept"),
    )


def fewer_codes_less_light(evidence: Evidence) -> Claim:
    """Section 5.1: with fewer codes reconstructions are less noisy and fainter."""
    figures, signs, fewest = [], [], []
    for figure in ("fine structure kept", "light kept"):
        for quantizer in ("paper", "modern"):
            estimate, seeds = evidence.trend(f"{figure}, {quantizer}", quantizer, figure=figure)
            figures.append(estimate)
            fewest.append(seeds)
            signs.append(sign(estimate, positive=True, enough=seeds >= SEEDS_FOR_A_TREND))
    return Claim(
        id="noiseless-fainter",
        section="5.1",
        words="with fewer codes reconstructions are relatively noiseless and have lower brightness",
        test="slopes against log2 K of the fine structure and of the light that are kept",
        rule="for: interval of the slope above 0; against: below; both figures, both quantizers",
        figures=tuple(e.figure() for e in figures),
        verdict=verdict_of(signs),
        explanation="Light within the galaxy's segment, above the sky of the original.",
        seeds=min(fewest),
    )


def more_features_reconstruct_better(evidence: Evidence) -> Claim:
    """Section 4.3.1: the number of features was chosen by reconstructions with 4, 16, 64, 256."""
    found = [
        evidence.estimate(
            f"NMSE, {side**2} features", model=f"k512-modern-{side}x{side}", figure="NMSE"
        )
        for side in SIDES
    ]
    steps = [difference(f"{a.name} less {b.name}", a, b) for a, b in pairwise(found)]
    return Claim(
        id="features-reconstruction",
        section="4.3.1",
        words="4, 16, 64 and 256 features were compared by their reconstructions; 64 were taken",
        test="NMSE with maps of 2 x 2 to 16 x 16, K = 512",
        rule="for: each step to more features lowers NMSE by more than its interval",
        figures=tuple(e.figure() for e in (*found, *steps)),
        verdict=verdict_of(sign(step, positive=True) for step in steps),
        explanation="The claim judged is that more features reconstruct better; the choice of 64"
        " weighs that against the size of the clustering.",
        seeds=evidence.seed_count(model="k512-modern-8x8", figure="NMSE"),
    )


def clusters_equal_features(evidence: Evidence, chosen: list[NumberOfClusters]) -> Claim:
    """Section 4.3.1, after Guo et al. 2017: as many clusters as features."""
    stable = [
        evidence.estimate(
            f"bootstrap ARI of 64 clusters, {model}",
            model=model,
            figure="bootstrap ARI",
            features=features,
            clusterer="kmeans",
        )
        for model, features in ((SMALL, "index"), (LARGE, "index"), (LARGE, "codes"))
    ]
    found = [
        Estimate(f"recommended k, {c.model} {c.features}", c.recommended, n=len(c.k))
        for c in chosen
    ]
    return Claim(
        id="guo",
        section="4.3.1",
        words="the number of clusters shall be the number of features, 64 (Guo et al. 2017)",
        test="do 64 clusters come back when the galaxies are resampled? mean pairwise adjusted Rand"
        " index on held-out galaxies",
        rule=f"for: the index is at least {REPEATABLE}; against: its interval lies below",
        figures=tuple(e.figure() for e in (*stable, *found)),
        verdict=verdict_of(_repeats(e) for e in stable),
        explanation="The recommended numbers are those of the scoreboard's rule, which saw no"
        " T-type.",
        seeds=evidence.seed_count(
            model=LARGE, figure="bootstrap ARI", features="index", clusterer="kmeans"
        ),
    )


def _repeats(estimate: Estimate) -> bool | None:
    if estimate.value is None:
        return None
    if estimate.value >= REPEATABLE:
        return True
    return False if estimate.high is None or estimate.high < REPEATABLE else None


MORE_CLAIMS: tuple[Callable[[Evidence], Claim], ...] = (
    convaes_separate_better,
    dense_reconstructs_worst,
    rotation,
    smoother_than_originals,
    fewer_codes_less_light,
    more_features_reconstruct_better,
)
