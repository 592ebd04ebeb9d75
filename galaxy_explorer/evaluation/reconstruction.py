"""Does it reconstruct, and is the vocabulary used? Figures of a model on the test galaxies."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from galaxy_explorer.bundle_evaluation import Row
from galaxy_explorer.evaluation.context import Context
from galaxy_explorer.evaluation.rows import Subset, make_row, over_galaxies
from galaxy_explorer.evaluation.subjects import Subject
from galaxy_explorer.pipeline.cache import StageResult
from galaxy_explorer.progress import progress
from galaxy_explorer.survey.photometry import segment

BLOCK_ROWS = 256
SSIM_WINDOW_PX = 7
SMOOTHING_PX = 1.0
FINE = "median ratio of what a Gaussian of 1 px smooths away; "
STRETCHED = "in stretched units, original and reconstruction alike"


def reconstruction_rows(context: Context, subject: Subject) -> list[Row]:
    """NMSE, PSNR, SSIM, chi squared of sky and core, perplexity and use of the codes."""
    stage = f"{subject.name}.{subject.seed}.reconstruction"
    measured = context.stage(stage, subject.inputs, lambda: _measure(context, subject))
    return [*_error_rows(context, subject, measured), *vocabulary_rows(context, subject)]


def _measure(context: Context, subject: Subject) -> StageResult:
    """SSIM, reduced chi squared, fine structure and light of each test galaxy."""
    from galaxy_explorer.models.inference import decode_codes

    model, test = subject.load(), context.rows("test")
    arrays = {name: np.empty(len(test)) for name in ("ssim", "sky", "core", "fine", "light")}
    with progress(len(test), f"Comparing with {subject.name}") as advance:
        for start in range(0, len(test), BLOCK_ROWS):
            rows = test[start : start + BLOCK_ROWS]
            stamps = context.survey.model_input(rows)
            drawn = decode_codes(model, np.asarray(subject.codes[rows]))
            for place, (stamp, picture) in enumerate(zip(stamps, drawn, strict=True), start):
                arrays["ssim"][place] = similarity(stamp, picture)
                arrays["sky"][place], arrays["core"][place] = reduced_chi2(stamp[0], picture[0])
                arrays["fine"][place] = fine_structure(picture[0]) / fine_structure(stamp[0])
                arrays["light"][place] = light_kept(stamp[0], picture[0])
            advance(len(rows))
    return StageResult(arrays, {})


def similarity(stamp: np.ndarray, picture: np.ndarray) -> float:
    """Structural similarity (Wang et al. 2004) of two pictures (C, S, S) of unit range."""
    from skimage.metrics import structural_similarity

    options = {"win_size": SSIM_WINDOW_PX, "channel_axis": 0, "data_range": 1.0}
    return float(structural_similarity(stamp, picture, **options))  # type: ignore[no-untyped-call]


def reduced_chi2(stamp: np.ndarray, picture: np.ndarray) -> tuple[float, float]:
    """Mean squared residual over the variance of the sky: on the sky, and on the galaxy's core.

    Pictures (S, S). The core is the brighter half of the galaxy's pixels. The sigma is that of the
    sky everywhere: in arcsinh-stretched units noise is nearly even, photon noise of the core apart.
    """
    segments = segment(stamp.astype(np.float64))
    squares = np.square((stamp - picture) / segments.sky_sigma)
    sky, galaxy = segments.labels == 0, segments.labels == 1
    core = galaxy & (stamp >= np.median(stamp[galaxy]))
    return float(squares[sky].mean()) if sky.any() else math.nan, float(squares[core].mean())


def fine_structure(picture: np.ndarray) -> float:
    """Scatter of what a Gaussian of one pixel smooths away, of a picture (S, S)."""
    from scipy import ndimage

    return float((picture - ndimage.gaussian_filter(picture, SMOOTHING_PX)).std()) or 1e-12


def light_kept(stamp: np.ndarray, picture: np.ndarray) -> float:
    """Light of the galaxy above the sky in the reconstruction over that in the stamp."""
    segments = segment(stamp.astype(np.float64))
    galaxy = segments.labels == 1
    whole = float((stamp[galaxy] - segments.sky).sum())
    return float((picture[galaxy] - segments.sky).sum()) / whole if whole > 0 else math.nan


def _error_rows(context: Context, subject: Subject, measured: StageResult) -> list[Row]:
    subset, test = Subset(subject.name), context.rows("test")
    errors = subject.errors[test].astype(np.float64)
    nmse = lambda rows: errors[rows].mean() / subject.variance  # noqa: E731
    psnr = lambda rows: -10 * math.log10(max(errors[rows].mean(), 1e-12))  # noqa: E731
    known = "sigma measured on the border of each stamp; " + STRETCHED
    figures: list[tuple[str, Callable[[np.ndarray], float], str, str]] = [
        ("NMSE", nmse, "", "over the variance of the training pixels; " + STRETCHED),
        ("PSNR", psnr, "dB", "for a peak of 1; " + STRETCHED),
        ("SSIM", _mean_of(measured.arrays["ssim"]), "", STRETCHED),
        ("chi^2 of the sky", _median_of(measured.arrays["sky"]), "", "median; " + known),
        ("chi^2 of the core", _median_of(measured.arrays["core"]), "", "median; " + known),
        ("fine structure kept", _median_of(measured.arrays["fine"]), "", FINE + STRETCHED),
        ("light kept", _median_of(measured.arrays["light"]), "", "median; " + STRETCHED),
    ]
    rows = []
    for name, score, unit, note in figures:
        found = over_galaxies(score, len(test), context.grid.bootstraps)
        row = make_row(subset, "reconstruction", name, found, n=len(test), unit=unit, note=note)
        rows.append(row)
    return rows


def _mean_of(values: np.ndarray) -> Callable[[np.ndarray], float]:
    return lambda rows: float(np.nanmean(values[rows]))


def _median_of(values: np.ndarray) -> Callable[[np.ndarray], float]:
    return lambda rows: float(np.nanmedian(values[rows]))


def vocabulary_rows(context: Context, subject: Subject) -> list[Row]:
    """Perplexity and use of the codes over the whole test split."""
    test = context.rows("test")
    rows = []
    for level, maps in subject.config.code_maps(subject.codes[test]).items():
        subset = Subset(subject.name, level.strip("_"))
        size = subject.num_embeddings or 1

        def use(drawn: np.ndarray, maps: np.ndarray = maps, size: int = size) -> float:
            return perplexity(maps[drawn], size) / size

        score = over_galaxies(use, len(test), context.grid.bootstraps)
        found = {name: value * size for name, value in score.items()}
        share = len(np.unique(maps)) / size
        for name, values in (
            ("perplexity", found),
            ("perplexity / K", score),
            ("codes used", {"value": share}),
        ):
            rows.append(make_row(subset, "vocabulary", name, values, n=len(test)))
    return rows


def perplexity(codes: np.ndarray, size: int) -> float:
    """Exponential of the entropy of the use of `size` codes, codes of any shape."""
    counts = np.bincount(codes.ravel(), minlength=size)
    shares = counts[counts > 0] / counts.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))
