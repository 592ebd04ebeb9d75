"""Figures of the model with the PSF layer, measured on a finished bundle and put into it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from galaxy_explorer.bundle.bundle import Bundle, load_bundle
from galaxy_explorer.bundle.deconvolution import DECONVOLUTION, FORMAT, psf_model, psf_model_name
from galaxy_explorer.bundle.writer import add_files
from galaxy_explorer.deconvolution.classics import (
    Deconvolver,
    facts,
    richardson_lucy_settings,
    tuned,
    wiener_settings,
)
from galaxy_explorer.deconvolution.metrics import band_limit, mtf, reduced_chi2
from galaxy_explorer.deconvolution.network import deconvolve
from galaxy_explorer.deconvolution.observations import (
    PEAK_SN,
    Array,
    observe,
    stamps_observed,
)
from galaxy_explorer.evaluation.deconvolution.card import deconvolution_card
from galaxy_explorer.evaluation.deconvolution.figures import (
    LUCY,
    NETWORK,
    OBSERVED,
    POSTERIOR,
    WIENER,
    Figure,
    judge,
    rows,
    targets,
)
from galaxy_explorer.pipeline.autoencoders import truth_and_psf
from galaxy_explorer.survey.store import Survey
from galaxy_explorer.utils.cache import StageCache, StageResult
from galaxy_explorer.utils.progress import progress

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
    card = partial(deconvolution_card, found=found, command=request.command)
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
        weights = self.bundle.models[self.name].weights
        inputs = {
            "weights": self.bundle.manifest.files[weights].sha256,
            "survey": self.survey.meta["fingerprint"],
            "n": self.request.n,
            "real": str(self.request.real),
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
