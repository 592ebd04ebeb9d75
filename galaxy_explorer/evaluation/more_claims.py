"""The report's claims on ConvAEs, rotation, smoothness and the choice of numbers, judged."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from galaxy_explorer.bundle_evaluation import Claim, NumberOfClusters
from galaxy_explorer.evaluation.claims import CONV, DENSE, KEPT, LARGE, REPORTED, SMALL
from galaxy_explorer.evaluation.evidence import (
    SEEDS_FOR_A_TREND,
    Estimate,
    Evidence,
    difference,
    sign,
    verdict_of,
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
