"""A small `emulation.json` of made-up figures, for tests of what reads it."""

from __future__ import annotations

from msgspec.structs import asdict

from galaxy_explorer.bundle.emulation import (
    CLASSES,
    KINDS,
    EmulationFigure,
    EmulatorEvaluation,
    GuidancePoint,
    Histogram,
    PriorEvaluation,
    TypeTrend,
)
from galaxy_explorer.evaluation.emulator.figures import verdict

STATISTICS = ("concentration", "gini", "m20")


def small_emulation(model: str = "k512-modern-8x8", *, beside: bool = False) -> EmulatorEvaluation:
    """Figures of every group, trends of three statistics, two histograms, a guidance curve.

    beside: with the proof of another prior.
    """
    others = (_proof("convae-conv", "neural spline flow over latents"),) if beside else ()
    return EmulatorEvaluation(**asdict(_proof(model)), others=others)


def _proof(model: str, prior: str = "gated PixelCNN over code maps") -> PriorEvaluation:
    return PriorEvaluation(
        model=model,
        settings={
            "survey": "random",
            "prior": prior,
            "samples": "20",
            "control": "labels of the next batch",
        },
        figures=(
            *(_slope(statistic) for statistic in STATISTICS),
            _figure(
                "judge", "judged T: r on samples over r on reconstructions", 0.97, (0.95, None)
            ),
            _figure(
                "distribution", "W1 / sigma from reconstructions", 0.12, (None, 0.06), floor=0.09
            ),
            _figure("distribution", "W1 / sigma from real", 0.3, (None, 0.1), floor=0.09),
            _figure("distribution", "AUC", 0.62, (None, 0.6)),
            _figure("memory", "diversity", 0.9, (None, None)),
            _figure("memory", "likelihood", None, (0.95, 1.05)),
            _figure("memory", "nearest neighbours: training over held-out", 1.01, (0.95, 1.05)),
        ),
        trends=tuple(_trend(s, kind) for s in STATISTICS for kind in KINDS),
        histograms=tuple(_histogram(s) for s in STATISTICS[:2]),
        curve=tuple(
            GuidancePoint(w, 0.9 + w / 10, 0.05 * w, 1 / w, 0.8, 0.3 * w, 20) for w in (1.0, 1.5, 3)
        ),
        guidance=1.0,
        guidance_rule="the smallest cost on validation galaxies",
    )


def _slope(statistic: str) -> EmulationFigure:
    return _figure(
        "label",
        "slope against T, sample over reconstruction",
        1.04,
        (0.9, 1.1),
        statistic=statistic,
    )


def _figure(
    group: str,
    name: str,
    value: float | None,
    goal: tuple[float | None, float | None],
    *,
    statistic: str = "",
    floor: float | None = None,
) -> EmulationFigure:
    ends = (None, None) if value is None else (value - 0.05, value + 0.05)
    return EmulationFigure(
        group=group,
        name=name,
        statistic=statistic,
        value=value,
        low=ends[0],
        high=ends[1],
        n=20,
        goal_low=goal[0],
        goal_high=goal[1],
        verdict=verdict(value, *ends, goal, floor),
        floor=floor,
        collapsed=0.6,
        control=0.01,
        reference=None,
        note="made up",
    )


def _trend(statistic: str, kind: str) -> TypeTrend:
    slope = 0.0 if kind == "control" else -0.05
    return TypeTrend(
        statistic=statistic,
        kind=kind,
        slope=slope,
        low=slope - 0.01,
        high=slope + 0.01,
        sigmas=slope / 0.005,
        n=20,
        means=(*(3 + slope * t for t in range(CLASSES - 1)), None),
        counts=(2,) * (CLASSES - 1) + (0,),
        failed=0.02,
        p_holm=1.0 if kind == "control" else 3e-23,
    )


def _histogram(statistic: str) -> Histogram:
    shares = dict.fromkeys(KINDS[:3], (0.2, 0.5, 0.3))
    return Histogram(statistic, (0.0, 1.0, 2.0, 3.0), shares)
