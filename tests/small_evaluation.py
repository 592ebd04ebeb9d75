"""A small valid evaluation with random figures, for tests of pages and of the bundle."""

from __future__ import annotations

import numpy as np

from galaxy_explorer.bundle.evaluation import (
    VERDICTS,
    Claim,
    ClaimFigure,
    ClusterStability,
    Cost,
    Evaluation,
    EvaluationRow,
    NumberOfClusters,
    StoredMergerTree,
    Target,
    TradeoffPoint,
    TrainingCurve,
)

FIGURES = {
    "NMSE": ("reconstruction", "", "lower"),
    "perplexity / K": ("vocabulary", "", "higher"),
    "AMI": ("agreement", "", "higher"),
    "eta^2": ("agreement", "", "higher"),
    "AMI with axis ratio": ("other columns", "", ""),
    "bootstrap ARI": ("stability", "", "higher"),
    "ARI, rotated by 45 degrees": ("invariance", "", "higher"),
}
MODELS = (("k16-modern-8x8", 16), ("k512-modern-8x8", 512), ("k512-paper-8x8", 512))
LEAVES = 16


def small_evaluation(
    galaxies: int = 200, keys: dict[str, int] | None = None, seed: int = 0
) -> Evaluation:
    """An evaluation of random numbers; keys: clusters of each shipped clustering, by key."""
    rng = np.random.default_rng(seed)
    keys = {"k512-modern-8x8/codes": 64} if keys is None else keys
    return Evaluation(
        settings={"bundle": "random", "survey": "random", "seeds": "3", "grid": "quick"},
        recommended=next(iter(keys)),
        recommended_rule="Drawn at random.",
        rows=tuple(
            _row(rng, model, features, clusterer, figure)
            for model, _ in MODELS
            for features in ("index", "codes", "codes, orbit mean")
            for clusterer in ("mixture", "k-means", "ward")
            for figure in FIGURES
        ),
        claims=tuple(_claim(rng, number) for number in range(8)),
        number_of_clusters=(_curves(rng),),
        stability=tuple(
            ClusterStability(key, tuple(rng.random(n).tolist())) for key, n in keys.items()
        ),
        tradeoff=tuple(_point(rng, model, codes) for model, codes in MODELS),
        training=tuple(_curve(rng, model) for model, _ in MODELS),
        trees=(_tree(rng, galaxies),),
        targets=(
            Target("rotated by 90 degrees", 0.99, 0.995, 0.99, 1.0, 1, ""),
            Target("rotated by 45 degrees", 0.75, 0.5, 0.4, 0.6, 0, "what was tried"),
        ),
        costs=(Cost("encode", 12.5, 850.0), Cost("cluster", 80.0, 1100.0)),
    )


def _interval(rng: np.random.Generator) -> tuple[float, float, float]:
    value, half = rng.random(), 0.05 * rng.random()
    return value, value - half, value + half


def _row(rng, model: str, features: str, clusterer: str, figure: str) -> EvaluationRow:
    question, unit, better = FIGURES[figure]
    value, low, high = _interval(rng)
    clustered = question not in ("reconstruction", "vocabulary")
    return EvaluationRow(
        model=model,
        features=features if clustered else "",
        clusterer=clusterer if clustered else "",
        clusters=64 if clustered else None,
        seed_count=3,
        question=question,
        figure=figure,
        value=value,
        low=low,
        high=high,
        chance=0.02 if question == "agreement" else None,
        ceiling=0.9 if question == "agreement" else None,
        n=320,
        split="test",
        unit=unit,
        better=better,
        note="random",
    )


def _claim(rng, number: int) -> Claim:
    value, low, high = _interval(rng)
    return Claim(
        id=f"claim-{number}",
        section="4.3.1",
        words="smaller codebooks reconstruct slightly worse",
        test="Kendall's tau of NMSE against K over three trainings each",
        rule="holds where the interval of tau lies below 0",
        figures=(ClaimFigure("tau", value - 0.5, low - 0.5, high - 0.5, 18, ""),),
        verdict=VERDICTS[number % len(VERDICTS)],
        explanation="Random numbers.",
        seeds=3,
    )


def _curves(rng) -> NumberOfClusters:
    k = tuple(range(2, 13))
    names = ("stability", "instability", "BIC", "gap", "silhouette")
    curves = {name: tuple(rng.random(len(k)).tolist()) for name in names}
    return NumberOfClusters(
        "k512-modern-8x8", "codes", "k-means", k, curves, 5, "clusters", "the most stable k"
    )


def _point(rng, model: str, codes: int) -> TradeoffPoint:
    return TradeoffPoint(
        *(model, "codes", "mixture", codes),
        *_interval(rng),
        *_interval(rng),
        *_interval(rng),
        3,
    )


def _curve(rng, model: str) -> TrainingCurve:
    steps = np.arange(100, 2001, 100.0)
    return TrainingCurve(
        model=model,
        seed=0,
        step=tuple(steps.tolist()),
        nmse=tuple((0.02 + 5 / steps + 0.001 * rng.random(20)).tolist()),
        perplexity=tuple((16 * (1 - np.exp(-steps / 400))).tolist()),
        codes_changed=tuple((100 / steps).tolist()),
        early_stop_step=1500,
        best_step=2000,
        cost=0.03,
    )


def _tree(rng, galaxies: int) -> StoredMergerTree:
    """Merges in a chain: leaf 1 joins leaf 0, leaf 2 joins those, and so on."""
    leaf = rng.integers(LEAVES, size=galaxies)
    sizes = np.bincount(leaf, minlength=LEAVES).tolist()
    return StoredMergerTree(
        model="k512-modern-8x8",
        features="codes",
        leaf=tuple(leaf.tolist()),
        left=(0, *range(LEAVES, 2 * LEAVES - 2)),
        right=tuple(range(1, LEAVES)),
        height=tuple(np.sort(rng.random(LEAVES - 1)).tolist()),
        count=(*sizes, *np.cumsum(sizes)[1:].tolist()),
        ttype_mean=tuple(rng.uniform(-5, 8, 2 * LEAVES - 1).tolist()),
    )
