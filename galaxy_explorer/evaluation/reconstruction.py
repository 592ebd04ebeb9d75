"""Does it reconstruct, and is the vocabulary used? Figures of a model on the test galaxies.

Whether morphology is kept is told by the slopes of C, Gini and M20 against T, before and after.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from msgspec.structs import asdict

from galaxy_explorer.bundle.evaluation import EvaluationRow
from galaxy_explorer.deconvolution.classics import reduced_chi2
from galaxy_explorer.emulation.light import units_of
from galaxy_explorer.emulation.likeness import left_out_noise
from galaxy_explorer.emulation.morphology import METHOD, Morphology, measure_morphology
from galaxy_explorer.evaluation.context import Context, EvaluatedModel
from galaxy_explorer.evaluation.rows import RowKey, make_row
from galaxy_explorer.models.quantizer import perplexity
from galaxy_explorer.survey.photometry import segment
from galaxy_explorer.survey.store import RowStamps
from galaxy_explorer.utils.files import StageResult
from galaxy_explorer.utils.progress import progress
from galaxy_explorer.utils.resampling import bootstrap, slope

BLOCK_ROWS = 256
SSIM_WINDOW_PX = 7
SMOOTHING_PX = 1.0
FINE = "median ratio of what a Gaussian of 1 px smooths away; "
STRETCHED = "in stretched units, original and reconstruction alike"
BLUR = "FWHM of the Gaussian that brings the stamps nearest to what is drawn, noise included; "
WIDTHS_PX = np.arange(0.0, 16.0, 0.01)  # FWHM that are tried
FWHM = math.sqrt(8 * math.log(2))  # of a Gaussian, in sigma


def reconstruction_rows(context: Context, evaluated: EvaluatedModel) -> list[EvaluationRow]:
    """NMSE, PSNR, SSIM, blur, chi squared of sky and core, perplexity and use of the codes."""
    stage = f"{evaluated.name}.{evaluated.seed}.reconstruction"

    def measure() -> StageResult:
        """SSIM, reduced chi squared, fine structure, light and spectra of each test galaxy."""
        from galaxy_explorer.models.inference import decode_codes

        model, test = evaluated.load(), context.rows("test")
        arrays = {name: np.empty(len(test)) for name in ("ssim", "sky", "core", "fine", "light")}
        rings = len(ring_frequencies(model.config.stamp_size))
        arrays |= {name: np.empty((len(test), rings)) for name in ("power", "cross")}
        with progress(len(test), f"Comparing with {evaluated.name}") as advance:
            for start in range(0, len(test), BLOCK_ROWS):
                rows = test[start : start + BLOCK_ROWS]
                stamps = context.survey.model_input(rows)
                drawn = decode_codes(model, np.asarray(evaluated.codes[rows]))
                for place, (stamp, picture) in enumerate(zip(stamps, drawn, strict=True), start):
                    arrays["ssim"][place] = similarity(stamp, picture)
                    arrays["sky"][place], arrays["core"][place] = sky_and_core(stamp[0], picture[0])
                    arrays["fine"][place] = fine_structure(picture[0]) / fine_structure(stamp[0])
                    arrays["light"][place] = light_kept(stamp[0], picture[0])
                    arrays["power"][place], arrays["cross"][place] = spectra(stamp, picture)
                advance(len(rows))
        return StageResult(arrays, {})

    measured = context.stage(stage, {**evaluated.inputs, "blur": BLUR}, measure)
    return [*_error_rows(context, evaluated, measured), *vocabulary_rows(context, evaluated)]


def similarity(stamp: np.ndarray, picture: np.ndarray) -> float:
    """Structural similarity (Wang et al. 2004) of two pictures (C, S, S) of unit range."""
    from skimage.metrics import structural_similarity

    options = {"win_size": SSIM_WINDOW_PX, "channel_axis": 0, "data_range": 1.0}
    return float(structural_similarity(stamp, picture, **options))  # type: ignore[no-untyped-call]


def sky_and_core(stamp: np.ndarray, picture: np.ndarray) -> tuple[float, float]:
    """Reduced chi squared of a reconstruction, on the sky and on the galaxy's core.

    Pictures (S, S). The core is the brighter half of the galaxy's pixels. The sigma is that of the
    sky everywhere: in arcsinh-stretched units noise is nearly even, photon noise of the core apart.
    """
    segments = segment(stamp.astype(np.float64))
    sky, galaxy = segments.labels == 0, segments.labels == 1
    core = galaxy & (stamp >= np.median(stamp[galaxy]))
    on_sky, on_core = (
        float(reduced_chi2((stamp - picture)[where], segments.sky_sigma, axis=None))
        if where.any()
        else math.nan
        for where in (sky, core)
    )
    return on_sky, on_core


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


@cache
def _ring_numbers(size: int) -> np.ndarray:
    """Ring of spatial frequency of each cell of a Fourier transform (S, S): waves across it."""
    waves = np.fft.fftfreq(size) * size
    return np.asarray(np.rint(np.hypot(waves[:, None], waves)), np.int64)


def ring_frequencies(size: int) -> np.ndarray:
    """Frequency of each ring, in cycles a pixel."""
    return np.arange(int(_ring_numbers(size).max()) + 1) / size


def spectra(stamp: np.ndarray, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Power of a stamp and what a picture of it has in common, ring by ring; both (C, S, S)."""
    size = stamp.shape[-1]
    taper = np.sqrt(np.hanning(size))
    level = np.median(stamp, axis=(1, 2), keepdims=True)  # ends in darkness
    one, other = (np.fft.fft2((x - level) * taper[:, None] * taper) for x in (stamp, picture))
    rings = np.broadcast_to(_ring_numbers(size), one.shape).ravel()
    power, cross = np.abs(one) ** 2, (one.conj() * other).real
    return np.bincount(rings, power.ravel()), np.bincount(rings, cross.ravel())


def blur_of(power: np.ndarray, cross: np.ndarray, size: int) -> float:
    """FWHM (px) of the Gaussian that brings stamps of S pixels nearest to pictures of them.

    By least squares; power and cross (R,): see `spectra`, summed over galaxies.
    """
    sigma = WIDTHS_PX[:, None] / FWHM
    transfer = np.exp(-2 * (np.pi * sigma * ring_frequencies(size)) ** 2)
    return float(WIDTHS_PX[np.argmin(transfer**2 @ power - 2 * transfer @ cross)])


def _error_rows(
    context: Context, evaluated: EvaluatedModel, measured: StageResult
) -> list[EvaluationRow]:
    subset, test = RowKey(evaluated.name), context.rows("test")
    errors = evaluated.errors[test].astype(np.float64)
    nmse = lambda rows: float(errors[rows].mean()) / evaluated.variance  # noqa: E731
    psnr = lambda rows: -10 * math.log10(max(errors[rows].mean(), 1e-12))  # noqa: E731
    ssim, power, cross = (measured.arrays[name] for name in ("ssim", "power", "cross"))
    size = evaluated.config.stamp_size
    blur = lambda rows: blur_of(power[rows].sum(0), cross[rows].sum(0), size)  # noqa: E731
    known = "sigma measured on the border of each stamp; " + STRETCHED
    figures: list[tuple[str, Callable[[np.ndarray], float], str, str]] = [
        ("NMSE", nmse, "", "over the variance of the training pixels; " + STRETCHED),
        ("PSNR", psnr, "dB", "for a peak of 1; " + STRETCHED),
        ("SSIM", lambda rows: float(np.nanmean(ssim[rows])), "", STRETCHED),
        ("blur", blur, "px", BLUR + STRETCHED),
        ("chi^2 of the sky", _median_of(measured.arrays["sky"]), "", "median; " + known),
        ("chi^2 of the core", _median_of(measured.arrays["core"]), "", "median; " + known),
        ("fine structure kept", _median_of(measured.arrays["fine"]), "", FINE + STRETCHED),
        ("light kept", _median_of(measured.arrays["light"]), "", "median; " + STRETCHED),
    ]
    rows = []
    for name, score, unit, note in figures:
        most = 1 if name == "SSIM" else math.inf
        found = bootstrap(score, len(test), resamples=context.grid.bootstraps, most=most)
        row = make_row(subset, "reconstruction", name, found, n=len(test), unit=unit, note=note)
        rows.append(row)
    return rows


def _median_of(values: np.ndarray) -> Callable[[np.ndarray], float]:
    return lambda rows: float(np.nanmedian(values[rows]))


def vocabulary_rows(context: Context, evaluated: EvaluatedModel) -> list[EvaluationRow]:
    """Perplexity and use of the codes over the whole test split."""
    test = context.rows("test")
    rows = []
    for level, maps in evaluated.config.code_maps(evaluated.codes[test]).items():
        subset = RowKey(evaluated.name, level.strip("_"))
        size = evaluated.num_embeddings or 1

        def use(drawn: np.ndarray, maps: np.ndarray = maps, size: int = size) -> float:
            return perplexity(np.bincount(maps[drawn].ravel(), minlength=size)) / size

        score = bootstrap(use, len(test), resamples=context.grid.bootstraps, most=1).scores()
        found = {name: value * size for name, value in score.items()}
        share = len(np.unique(maps)) / size
        for name, values in (
            ("perplexity", found),
            ("perplexity / K", score),
            ("codes used", {"value": share}),
        ):
            rows.append(make_row(subset, "vocabulary", name, values, n=len(test)))
    return rows


KEPT = {"concentration": "C kept", "gini": "Gini kept", "m20": "M20 kept"}
LIGHT = f"linear, as the emulator's proof measures it: {METHOD.decode()}"
MORPHOLOGY_CACHE = "morphology.safetensors"
DRAWS = 10  # resamples of a ratio for each of the grid's bootstraps: they cost nothing


def typed_test_rows(context: Context) -> np.ndarray:
    """Catalogue rows of the test galaxies whose morphology is measured, drawn at random."""
    rows = context.rows("test", typed=True)
    return np.sort(np.random.default_rng(0).permutation(rows)[: context.grid.typed])


def original_morphology(context: Context, rows: np.ndarray, workers: int) -> Morphology:
    """C, A, S, Gini and M20 of the survey's stamps, in linear light."""
    return light_morphology(context, RowStamps(context.survey, rows), workers, "stamps")


def light_morphology(
    context: Context, stamps: np.ndarray | RowStamps, workers: int, words: str
) -> Morphology:
    """The same of the linear light of stretched stamps (n, C, S, S), as the mean of their bands."""
    units = units_of(context.bundle)

    def mean_light(block: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(units.light(block).mean(1))

    light = stamps.measured(mean_light) if isinstance(stamps, RowStamps) else mean_light(stamps)
    cache = context.work / MORPHOLOGY_CACHE
    return measure_morphology(light, cache, workers=workers, description=f"Morphology of {words}")


def morphology_rows(
    context: Context, evaluated: EvaluatedModel, workers: int
) -> list[EvaluationRow]:
    """Slopes of C, Gini and M20 against T on reconstructions, over those on the stamps."""
    stage, inputs = (
        f"{evaluated.name}.{evaluated.seed}.morphology",
        {**evaluated.inputs, "light": LIGHT},
    )

    def measure() -> StageResult:
        from galaxy_explorer.models.inference import decode_codes

        rows = typed_test_rows(context)
        stamps = context.survey.model_input(rows)
        drawn = decode_codes(evaluated.load(), np.asarray(evaluated.codes[rows]))
        noise = left_out_noise(stamps, drawn)
        noisy = drawn + noise.draw(noise.sigma, rows)
        real = original_morphology(context, rows, workers)
        reconstructed = light_morphology(context, noisy, workers, evaluated.name)
        pair = Pair(context.ttype[rows], real, reconstructed)
        made = [asdict(kept_row(context, evaluated, name, pair)) for name in KEPT]
        return StageResult({"flag": reconstructed.flag}, {"rows": made})

    measured = context.stage(stage, inputs, measure)
    return [EvaluationRow(**values) for values in measured.facts["rows"]]


@dataclass(frozen=True)
class Pair:
    """Statistics of the same galaxies, T (n,), on the stamps and on the reconstructions."""

    ttype: np.ndarray
    real: Morphology
    reconstructed: Morphology


def kept_row(context: Context, evaluated: EvaluatedModel, name: str, pair: Pair) -> EvaluationRow:
    """Slope of a statistic against T on reconstructions over the slope on the stamps."""
    real, reconstructed = pair.real, pair.reconstructed
    both = np.isfinite(real.values[name]) & np.isfinite(reconstructed.values[name])
    x, before, after = pair.ttype[both], real.values[name][both], reconstructed.values[name][both]

    def kept(rows: np.ndarray) -> float:
        return slope(x[rows], after[rows]) / slope(x[rows], before[rows])

    n = len(x)
    score = bootstrap(kept, n, resamples=DRAWS * context.grid.bootstraps)
    note = (
        f"slope against T, reconstruction over original, noise of the sky added again; in"
        f" linear light; not measurable: {100 * real.failed_share:.0f} % of the originals,"
        f" {100 * reconstructed.failed_share:.0f} % of the reconstructions"
    )
    return make_row(RowKey(evaluated.name), "reconstruction", KEPT[name], score, n=n, note=note)
