"""A small survey of simulated F160W galaxies, and a bundle of it with an untrained PSF model."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from galaxy_explorer.bundle.evaluation import DECONVOLUTION
from galaxy_explorer.bundle.evaluation import DECONVOLUTION_FORMAT as FORMAT
from galaxy_explorer.bundle.manifest import Manifest
from galaxy_explorer.bundle.writer import BundleContents, add_files, save_bundle
from galaxy_explorer.models.inference import encode_stamps, save_weights
from galaxy_explorer.survey.simulation.survey import simulate_survey
from galaxy_explorer.survey.store import Survey
from tests.deconvolution.scenes import network
from tests.small_bundle import _assignments, _clustering, _mixture

NAME = "k16-psf-21x21"
KEY = f"{NAME}/codes"
METHODS = ("no deconvolution", "Wiener", "Richardson-Lucy", "network alone", "network and data")


def write_small_hst_survey(path: Path, n: int = 12) -> Survey:
    """Simulate `n` galaxies; about a second, imports galsim."""
    return simulate_survey(path, like="candels", n=n, seed=3)


def write_small_psf_bundle(path: Path, survey: Survey, *, figures: bool = True) -> Path:
    """Write a bundle of the survey's galaxies, all of them in the test split."""
    n, rng = len(survey), np.random.default_rng(0)
    model = network()
    model.error_power.fill_(np.log(4.0))
    names = ("galaxy_id", "ra", "dec", "ttype", "ttype_class", "source")
    columns = {name: survey.column(name) for name in names}
    columns["split"] = np.array(["test"] * n)
    columns[f"{NAME}/error"] = rng.gamma(4, 1e-4, n).astype(np.float32)
    columns |= _assignments(KEY, n, rng)
    arrays = _mixture("codes", n, rng)
    arrays["pca_mean"] = np.zeros(64 * 21**2, np.float32)
    arrays["pca_components"] = np.zeros((8, 64 * 21**2), np.float32)
    weights = path.parent / f"{path.name}.safetensors"
    save_weights(model, weights)
    codes = {NAME: encode_stamps(model, survey.model_input())}
    clusterings = {KEY: _clustering(columns, columns[f"{KEY}/cluster"])}
    contents = BundleContents(
        _manifest(path.name, survey, model.config, clusterings), columns, {NAME: weights}, codes,
        {KEY: arrays}, _card,
    )  # fmt: skip
    save_bundle(path, contents)
    if figures:
        add_files(path, {DECONVOLUTION: _figures()}, _card)
    return path


def _card(manifest: Manifest) -> str:
    return f"# {manifest.name}\n\nAn untrained model for tests.\n"


def _manifest(name: str, survey: Survey, config, clusterings: dict) -> dict:
    kept = ("name", "band", "stamp_size", "channels", "pixel_scale_arcsec", "stretch")
    metrics = {"mse": 4e-4, "nmse": 0.02, "psnr_db": 34.0, "perplexity": 9.0, "used_share": 0.9}
    entry = {
        "kind": config.kind, "config": config.to_dict(), "steps": 0, "best_step": 0,
        "rule_step": None, "seconds": 0.0, "metrics": metrics | {"n_test": 12},
        "curve": [{"step": 0, "nmse": 1.0}],
    }  # fmt: skip
    facts = {field: survey.meta.get(field) for field in kept}
    return {
        "name": name,
        "software": "galaxy_explorer 0.1.0",
        "created": "2019-09-01T00:00:00Z",
        "recipe": {"name": "tiny", "steps": 0},
        "hardware": "2-core x86-64 CPU, float32",
        "survey": {
            **facts, "fingerprint": survey.meta["fingerprint"], "counts": {}, "sources": [],
            "splits": {"train": 0, "validation": 0, "test": len(survey)},
        },
        "models": {NAME: entry},
        "clusterings": clusterings,
        "default_clustering": KEY,
        "display_model": NAME,
    }  # fmt: skip


def _figures() -> bytes:
    import json

    figures = [
        {
            "peak_sn": sn, "method": method, "name": name, "value": 1.0 + place, "low": 0.5,
            "high": 2.0, "n": 20, "unit": unit, "control": None,
        }
        for name, unit in (("flux bias", "%"), ("PSNR", "dB"))
        for sn in (20.0, 50.0)
        for place, method in enumerate(METHODS)
    ]  # fmt: skip
    band = {"limit_cycles_per_arcsec": 5.1, "frequency": [0.0, 4.0, 8.0], "mtf": [1.0, 0.3, 0.0]}
    stamps = {"n": 3, "chi2": {method: [0.9, 1.0, 1.2] for method in METHODS[-2:]}}
    found = {"format": FORMAT, "model": NAME, "figures": figures, "band": band, "stamps": stamps}
    return json.dumps(found).encode()
