"""The model with the PSF layer against known truth, beside Wiener and Richardson-Lucy.

Held-out simulated galaxies are observed at a given peak S/N. The settings of the classics are
chosen on validation galaxies, for each S/N by themselves; every figure is of the test galaxies, and
is put into the finished bundle.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.bundle.bundle import Bundle, load_bundle, psf_model, psf_model_name
from galaxy_explorer.bundle.card import model_card
from galaxy_explorer.bundle.evaluation import DECONVOLUTION
from galaxy_explorer.bundle.evaluation import DECONVOLUTION_FORMAT as FORMAT
from galaxy_explorer.bundle.writer import add_files
from galaxy_explorer.deconvolution.classics import (
    Deconvolver,
    band_limit,
    ellipticity,
    euclid_view,
    facts,
    flux,
    half_light_radius,
    mtf,
    nmse,
    psnr,
    reduced_chi2,
    richardson_lucy_settings,
    root_mean_square,
    tuned,
    wiener_settings,
)
from galaxy_explorer.deconvolution.network import deconvolve
from galaxy_explorer.deconvolution.observations import (
    PEAK_SN,
    Array,
    ObservedStamps,
    blur,
    observe,
    stamps_observed,
)
from galaxy_explorer.pipeline.autoencoders import truth_and_psf
from galaxy_explorer.survey.store import Survey
from galaxy_explorer.utils.files import StageCache, StageResult
from galaxy_explorer.utils.progress import progress
from galaxy_explorer.utils.resampling import bootstrap

Floats = NDArray[np.float64]

OBSERVED, WIENER, LUCY = "no deconvolution", "Wiener", "Richardson-Lucy"
NETWORK, POSTERIOR = "network alone", "network and data"


@dataclass(frozen=True)
class Figure:
    """One figure of one method at one peak S/N, with its 95 % bootstrap interval over n galaxies.

    control: the same with each galaxy compared with the truth of another; None where that says
    nothing.
    """

    peak_sn: float
    method: str
    name: str
    value: float
    low: float
    high: float
    n: int
    unit: str
    control: float | None


@dataclass(frozen=True)
class Measure:
    """A figure: what it takes of each galaxy, how galaxies are put together."""

    name: str
    unit: str
    values: Callable[[Array, Array, ObservedStamps, float], Floats]
    together: Callable[..., Floats]
    against_truth: bool = True


def _shape(light: Array, truth: Array, _: ObservedStamps, __: float) -> Floats:
    weight = half_light_radius(truth)
    return ellipticity(light, weight) - ellipticity(truth, weight)


MEASURES = (
    Measure(
        "flux bias",
        "%",
        lambda light, truth, _, __: 100 * (flux(light) / flux(truth) - 1),
        np.median,
    ),
    Measure(
        "half-light radius bias",
        "%",
        lambda light, truth, _, __: 100 * (half_light_radius(light) / half_light_radius(truth) - 1),
        np.median,
    ),
    Measure("ellipticity rms", "", _shape, root_mean_square),
    Measure("PSNR", "dB", lambda light, truth, _, __: psnr(light, truth), np.mean),
    Measure(
        "reduced chi^2, re-convolved",
        "",
        lambda light, _, seen, __: reduced_chi2(seen.pixels - blur(light, seen.psf), seen.sigma),
        np.mean,
        against_truth=False,
    ),
    Measure(
        "NMSE as Euclid VIS",
        "%",
        lambda light, truth, _, scale: (
            100 * nmse(euclid_view(light, scale), euclid_view(truth, scale))
        ),
        np.mean,
    ),
)


def judge(
    method: str,
    light: Array,
    truth: Array,
    observed: ObservedStamps,
    *,
    peak_sn: float,
    scale_arcsec: float,
) -> list[Figure]:
    """All figures of one method: its light (N, S, S) against the truth (N, S, S)."""
    figures = []
    for measure in MEASURES:
        values = measure.values(light, truth, observed, scale_arcsec)
        estimate = bootstrap(
            lambda rows, v=values, m=measure: float(m.together(v[rows], axis=0)),
            len(light),
        )
        control = None
        if measure.against_truth:
            other = measure.values(light, np.roll(truth, 1, 0), observed, scale_arcsec)
            control = float(measure.together(other, axis=0))
        figures.append(
            Figure(
                peak_sn,
                method,
                measure.name,
                estimate.value,
                estimate.low,
                estimate.high,
                estimate.n,
                measure.unit,
                control,
            )
        )
    return figures


@dataclass(frozen=True)
class DeconvolutionTarget:
    """A goal set beforehand, and whether the network met it at one peak S/N."""

    name: str
    peak_sn: float
    goal: str
    value: float
    met: bool


def targets(figures: list[Figure]) -> Iterator[DeconvolutionTarget]:
    """The goals at every peak S/N, judged by the value of `network and data`."""
    table = {(f.peak_sn, f.method, f.name): f.value for f in figures}
    for sn in sorted({f.peak_sn for f in figures}):

        def value(name: str, method: str = POSTERIOR, sn: float = sn) -> float:
            return table[sn, method, name]

        for name, limit in (("half-light radius bias", 3.0), ("flux bias", 1.0)):
            found = value(name)
            yield DeconvolutionTarget(name, sn, f"within {limit:g} %", found, abs(found) <= limit)
        name, found = "ellipticity rms", value("ellipticity rms")
        lucy = value(name, LUCY)
        yield DeconvolutionTarget(
            name, sn, f"below Richardson-Lucy's {lucy:.4f}", found, found < lucy
        )
        best = max(value("PSNR", classic) for classic in (WIENER, LUCY))
        found = value("PSNR") - best
        yield DeconvolutionTarget(
            "PSNR over the better classic", sn, "at least 1 dB", found, found >= 1
        )
        found = value("reduced chi^2, re-convolved")
        yield DeconvolutionTarget(
            "reduced chi^2, re-convolved", sn, "at most 1.1", found, found <= 1.1
        )
        found = value("NMSE as Euclid VIS")
        yield DeconvolutionTarget("NMSE as Euclid VIS", sn, "at most 2 %", found, found <= 2)


def rows(
    items: list[Figure] | list[DeconvolutionTarget],
) -> list[dict[str, float | str | bool | None]]:
    """Figures or targets as plain values."""
    return [asdict(item) for item in items]


TUNED_ON = 16  # validation galaxies on which the classics' settings are chosen
MTF_POINTS = 60


@dataclass(frozen=True)
class DeconvolutionEvaluation:
    """What to measure: galaxies of the test split, and real stamps where there are any.

    n: test galaxies at each peak S/N. exposure_s: of the real stamps, for their photon noise.
    """

    bundle: Path
    survey: Path
    n: int
    real: Path | None = None
    exposure_s: float | None = None

    @property
    def command(self) -> str:
        """The command line that asks for this, with the bundle's and surveys' names alone."""
        words = [f"trained/{self.bundle.name}", f"--survey surveys/{self.survey.name}"]
        words.append(f"--n {self.n}")
        if self.real is not None:
            words.append(f"--real surveys/{self.real.name}")
        if self.exposure_s is not None:
            words.append(f"--exposure {self.exposure_s:g}")
        return " ".join(["galaxy-explorer evaluate-deconvolution", *words])


def evaluate_deconvolution(request: DeconvolutionEvaluation) -> dict[str, Any]:
    """Measure, write deconvolution.json and the card; returns what was written.

    Each peak S/N is a stage of its own, kept in BUNDLE.work: an interrupted run goes on.
    """
    bundle = load_bundle(request.bundle)
    run = _MeasurementRun(request, bundle)
    found: dict[str, Any] = {"format": FORMAT, "model": run.name, "costs": []}
    levels = [run.stage(f"at-{sn:g}", partial(run.at, sn)) for sn in PEAK_SN]
    figures = [Figure(**row) for level in levels for row in level["figures"]]
    found["figures"] = rows(figures)
    found["targets"] = rows(list(targets(figures)))
    found["settings"] = {
        f"{sn:g}": level["settings"] for sn, level in zip(PEAK_SN, levels, strict=True)
    }
    found["costs"] = {
        f"{sn:g}": level["seconds"] for sn, level in zip(PEAK_SN, levels, strict=True)
    }
    found["band"] = run.band()
    found["stamps"] = run.stage("stamps", run.survey_stamps)
    if request.real is not None:
        found["real"] = run.stage("real", run.real_stamps)
    data = json.dumps(found, indent=1, allow_nan=False).encode()
    card = partial(model_card, deconvolution=found, command=request.command)
    add_files(request.bundle, {DECONVOLUTION: data}, card)
    return found


class _MeasurementRun:
    def __init__(self, request: DeconvolutionEvaluation, bundle: Bundle) -> None:
        self.request, self.bundle = request, bundle
        self.model, self.name = psf_model(bundle), psf_model_name(bundle) or ""
        self.survey = Survey.open(request.survey)
        self.scale = float(self.survey.meta["pixel_scale_arcsec"])
        folder = request.bundle.with_name(f"{request.bundle.name}.work") / "deconvolution"
        self.cache = StageCache(folder)

    def stage(self, name: str, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        weights, real = self.bundle.models[self.name].weights, self.request.real
        inputs = {
            "weights": self.bundle.manifest.files[weights].sha256,
            "survey": self.survey.training_key,
            "n": self.request.n,
            "real": None if real is None else Survey.open(real).training_key,
            "exposure": self.request.exposure_s,
            "classics": [str(s) for s in (*wiener_settings(), *richardson_lucy_settings())],
            "tuned_on": TUNED_ON,
        }
        result = self.cache.get(name, inputs, lambda: StageResult({"n": np.array([1])}, compute()))
        return dict(result.facts)

    def galaxies(self, split: str, n: int) -> tuple[Array, Array]:
        """Truth and PSF of the first `n` galaxies of a split."""
        chosen = np.flatnonzero(self.survey.column("split") == split)[:n]
        return truth_and_psf(self.survey, chosen)

    def at(self, peak_sn: float) -> dict[str, Any]:
        """Figures of all methods at one peak S/N."""
        truth, psf = self.galaxies("validation", TUNED_ON)
        held_out = observe(truth, psf, peak_sn, seed=1)
        classics: dict[str, Deconvolver] = {
            WIENER: tuned(wiener_settings(), held_out, truth),
            LUCY: tuned(richardson_lucy_settings(), held_out, truth),
        }
        truth, psf = self.galaxies("test", self.request.n)
        observed = observe(truth, psf, peak_sn, seed=2)
        light, seconds = {OBSERVED: observed.pixels}, {}
        with progress(3 * len(observed), f"Peak S/N {peak_sn:g}") as advance:
            for method, deconvolver in classics.items():
                start = time.process_time()
                light[method] = deconvolver(observed)
                seconds[method] = (time.process_time() - start) / len(observed)
                advance(len(observed))
            start = time.process_time()
            by_network = deconvolve(self.model, observed, advance)
            seconds[POSTERIOR] = (time.process_time() - start) / len(observed)
        light |= {NETWORK: by_network.network, POSTERIOR: by_network.light}
        common = {"peak_sn": peak_sn, "scale_arcsec": self.scale}
        figures = [
            f for m, made in light.items() for f in judge(m, made, truth, observed, **common)
        ]
        settings = {method: facts(found) for method, found in classics.items()}
        return {"figures": rows(figures), "settings": settings, "seconds": seconds}

    def band(self) -> dict[str, Any]:
        """MTF of the survey's mean PSF, and the frequency beyond which the prior speaks."""
        psf = self.model.psf.numpy()
        frequencies, transfer = mtf(psf, self.scale)
        inside = frequencies <= 0.5 / self.scale
        step = max(1, int(inside.sum()) // MTF_POINTS)
        return {
            "limit_cycles_per_arcsec": band_limit(psf, self.scale),
            "nyquist_cycles_per_arcsec": 0.5 / self.scale,
            "frequency": frequencies[inside][::step].round(4).tolist(),
            "mtf": transfer[inside][::step].round(5).tolist(),
        }

    def survey_stamps(self) -> dict[str, Any]:
        """chi^2 of the survey's own test stamps, their noise correlated by drizzling."""
        chosen = np.flatnonzero(self.survey.column("split") == "test")[: self.request.n]
        electrons = self.survey.column("electrons_per_flux")[chosen]
        _, psf = truth_and_psf(self.survey, chosen)
        return self._chi2(self.survey, chosen, psf, electrons)

    def real_stamps(self) -> dict[str, Any]:
        """The same of real stamps, through the mean PSF."""
        real = Survey.open(self.request.real or "")
        chosen = np.arange(len(real))
        psf = np.repeat(self.model.psf.numpy()[None], len(chosen), 0)
        exposure = self.request.exposure_s
        electrons = None if exposure is None else np.full(len(chosen), exposure)
        table = self._chi2(real, chosen, psf, electrons)
        table["galaxy_id"] = real.column("galaxy_id").tolist()
        table["exposure_s"] = exposure
        return table

    def _chi2(
        self, survey: Survey, chosen: np.ndarray, psf: Array, electrons: np.ndarray | None
    ) -> dict[str, Any]:
        columns = (survey.column("sky")[chosen], survey.column("sky_sigma")[chosen])
        observed = stamps_observed(survey.stamps(chosen)[:, 0], *columns, psf, electrons)
        with progress(len(chosen), f"Stamps of {survey.path.name}") as advance:
            made = deconvolve(self.model, observed, advance)
        chi2 = {
            NETWORK: reduced_chi2(observed.pixels - made.network_blurred, observed.sigma),
            POSTERIOR: reduced_chi2(observed.pixels - made.blurred, observed.sigma),
        }
        return {"n": len(chosen), "chi2": {k: v.round(4).tolist() for k, v in chi2.items()}}
