"""A small valid bundle with random galaxies, untrained models and random clusters.

`write_small_bundle(folder)` writes it with the package's own writer. Models (real, untrained,
with rounded weights): k16-modern-8x8, k512-modern-8x8, k512-paper-8x8, k512-modern-16x16 and
convae-conv; clusterings "<8x8 model>/index" and "/codes" and "convae-conv/latents", 64 components
each. Deterministic by seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from galaxy_explorer.bundle.manifest import Manifest
from galaxy_explorer.bundle.writer import BundleContents, save_bundle
from galaxy_explorer.clustering.summary import ClusterSummary

N_COMPONENTS = 64
N_FEATURES = {"index": 64, "codes": 8, "latents": 8}
MODELS = (
    ("k16-modern-8x8", 16, "modern", 8),
    ("k512-modern-8x8", 512, "modern", 8),
    ("k512-paper-8x8", 512, "paper", 8),
    ("k512-modern-16x16", 512, "modern", 16),
)
CONVAE = "convae-conv"
PRIOR = "k512-modern-8x8"
SPLITS = ("train", "validation", "test")


def write_small_bundle(
    path: Path,
    *,
    n: int = 200,
    seed: int = 0,
    names: Sequence[str] = (),
    prior: str | None = PRIOR,
    channels: int = 1,
) -> Path:
    """Write a random bundle of `n` galaxies to `path`; about a second, imports torch.

    names: identifiers of the last galaxies, in place of "galaxy-0123". prior: the model that has
    an untrained prior, conditioned on ttype and magnitude; None for none. channels: bands of the
    stamps.
    """
    rng = np.random.default_rng(seed)
    columns = _catalog(n, rng)
    if names:
        columns["galaxy_id"] = np.array([*columns["galaxy_id"][: -len(names)], *names])
    codes = {name: rng.integers(k, size=(n, side, side)) for name, k, _, side in MODELS}
    keys = [f"{name}/{f}" for name, _, _, side in MODELS if side == 8 for f in ("index", "codes")]
    arrays, clusterings = {}, {}
    for name in codes:
        columns[f"{name}/error"] = rng.gamma(4, 1e-4, n).astype(np.float32)
    for key in keys:
        _add_clustering(key, columns, arrays, clusterings, rng)
    codes[CONVAE] = rng.normal(size=(n, 64)).astype(np.float16)
    columns[f"{CONVAE}/error"] = rng.gamma(4, 1e-4, n).astype(np.float32)
    _add_clustering(f"{CONVAE}/latents", columns, arrays, clusterings, rng)
    with TemporaryDirectory() as work:
        weights, models = _models(Path(work), channels)
        manifest = _manifest(path.name, n, models, clusterings)
        manifest["survey"]["channels"] = channels
        priors = (
            {}
            if prior is None
            else {f"{prior}/pixelcnn": _prior(Path(work), prior, manifest, columns)}
        )
        contents = BundleContents(manifest, columns, weights, codes, arrays, _card, priors)
        return save_bundle(path, contents)


def _add_clustering(
    key: str, columns: dict, arrays: dict, clusterings: dict, rng: np.random.Generator
) -> None:
    n = len(columns["galaxy_id"])
    arrays[key] = _mixture(key.split("/")[1], n, rng)
    columns |= _assignments(key, n, rng)
    clusterings[key] = _clustering(columns, columns[f"{key}/cluster"])


def _card(manifest: Manifest) -> str:
    return f"# {manifest.name}\n\nRandom numbers for tests.\n"


def _catalog(n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    ttype = rng.uniform(-5, 9, n).round(1)
    ttype[rng.random(n) < 0.3] = np.nan
    classes = np.where(np.isnan(ttype), -4, np.floor(np.nan_to_num(ttype) + 0.5).clip(-3, 6)) + 3
    return {
        "galaxy_id": np.array([f"galaxy-{i:04d}" for i in range(n)]),
        "ra": rng.uniform(0, 360, n),
        "dec": rng.uniform(-10, 60, n),
        "ttype": ttype,
        "ttype_class": classes.astype(np.int8),
        "split": rng.choice(SPLITS, n, p=(0.8, 0.1, 0.1)),
        "source": rng.choice(("sdss_ngc", "gz1"), n),
        "name": np.array([f"NGC {i}" for i in range(n)]),
        "magnitude": rng.normal(15, 1, n),
    }


def _mixture(kind: str, n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    k, p = N_COMPONENTS, N_FEATURES[kind]
    arrays = {
        "weights": rng.dirichlet(np.ones(k)),
        "means": rng.normal(size=(k, p)),
        "precisions_cholesky": rng.uniform(0.5, 2, (k, p)),
        "log_constants": rng.normal(size=k),
    }
    if kind == "codes":
        arrays["pca_mean"] = np.zeros(64 * 8 * 8, np.float32)
        arrays["pca_components"] = rng.normal(size=(p, 64 * 8 * 8)).astype(np.float32) / 64
        arrays["features"] = rng.normal(size=(n, p)).astype(np.float16)
    if kind == "latents":
        arrays["precisions_cholesky"] = np.triu(rng.uniform(0.5, 2, (k, p, p)))
        arrays["pca_mean"] = np.zeros(64, np.float32)
        arrays["pca_components"] = rng.normal(size=(p, 64)).astype(np.float32) / 8
    return arrays


def _assignments(key: str, n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    labels = rng.integers(N_COMPONENTS - 2, size=n).astype(np.int16)  # two clusters stay empty
    angle = 2 * np.pi * labels / N_COMPONENTS
    return {
        f"{key}/cluster": labels,
        f"{key}/responsibility": rng.uniform(0.3, 1, n).astype(np.float32),
        f"{key}/x": (8 * np.cos(angle) + rng.normal(0, 1, n)).astype(np.float32),
        f"{key}/y": (8 * np.sin(angle) + rng.normal(0, 1, n)).astype(np.float32),
    }


def _clustering(columns: dict[str, np.ndarray], labels: np.ndarray) -> dict:
    score = {"value": 0.1, "low": 0.05, "high": 0.15, "chance": 0.01}
    return {
        "n_components": N_COMPONENTS,
        "effective_clusters": len(np.unique(labels)),
        "agreement": {name: dict(score) for name in ("ami", "homogeneity", "eta2")},
        "clusters": [_cluster(columns, labels, i) for i in range(N_COMPONENTS)],
    }


def _cluster(columns: dict[str, np.ndarray], labels: np.ndarray, number: int) -> dict:
    rows = np.flatnonzero(labels == number)
    ttype = columns["ttype"][rows]
    known = ttype[~np.isnan(ttype)]
    classes = columns["ttype_class"][rows]
    early = float((known <= 0).mean()) if len(known) else float("nan")
    kind = "unknown" if len(known) < 2 else ("late", "mixed", "early")[int(early * 2.99)]
    return ClusterSummary(
        id=number,
        count=len(rows),
        n_ttype=len(known),
        ttype_mean=float(known.mean()) if len(known) else float("nan"),
        ttype_std=float(known.std()) if len(known) else float("nan"),
        histogram=tuple(int(c) for c in np.bincount(classes[classes >= 0], minlength=10)),
        kind=kind,
        early_fraction=early,
        early_low=early * 0.8,
        early_high=float(np.minimum(1.0, early * 1.2)),
        medoid=int(rows[0]) if len(rows) else -1,
        typical=tuple(int(row) for row in rows[:16]),
    ).to_dict()


def _models(work: Path, channels: int) -> tuple[dict[str, Path], dict[str, dict]]:
    import torch

    from galaxy_explorer.models.convae import ConvAEConfig
    from galaxy_explorer.models.inference import build_model, save_weights
    from galaxy_explorer.models.vqvae import VQVAEConfig

    configs = [
        *(
            VQVAEConfig(channels=channels, map_size=side, num_embeddings=k, quantizer=q)
            for _, k, q, side in MODELS
        ),
        ConvAEConfig("conv", channels=channels),
    ]
    weights, models = {}, {}
    for config in configs:
        torch.manual_seed(config.num_embeddings)
        weights[config.name] = work / f"{config.name}.safetensors"
        save_weights(build_model(config), weights[config.name])
        models[config.name] = _training(config)
    return weights, models


def _prior(work: Path, name: str, manifest: dict, columns: dict) -> Path:
    """Write a tiny untrained prior and its entry in the manifest."""
    import torch

    from galaxy_explorer.models.conditions import fit_fields
    from galaxy_explorer.models.inference import save_weights
    from galaxy_explorer.models.pixelcnn import PixelCNN, PixelCNNConfig

    fields = fit_fields(columns.__getitem__, list(columns), columns["split"] == "train", least=5)
    config = PixelCNNConfig(layers=2, features=8, condition_dim=8, n_fields=len(fields))
    torch.manual_seed(0)
    path = work / f"{name}.prior.safetensors"
    save_weights(PixelCNN(config), path)
    manifest["priors"] = {
        f"{name}/pixelcnn": {
            "kind": config.kind,
            "config": config.to_dict(),
            "fields": [field.to_dict() for field in fields],
            "recipe": {"name": "tiny", "steps": 60},
            "steps": 60,
            "seconds": 2.0,
            "best_step": 60,
            "metrics": {"nll": 400.0, "bits": 9.0, "label_gain": 0.0, "n_test": 20, "n_typed": 14},
            "curve": [{"step": 3 * i, "nll": 400 + 9 / i} for i in range(1, 21)],
            "default_guidance": 1.0,
        }
    }
    return path


def _training(config) -> dict:
    metrics = {"mse": 4e-4, "nmse": 0.02, "psnr_db": 34.0, "n_test": 20}
    if config.num_embeddings:
        metrics |= {"used_share": 0.99, "perplexity": 0.8 * config.num_embeddings}
    return {
        "kind": config.kind,
        "config": config.to_dict(),
        "steps": 60,
        "best_step": 60,
        "rule_step": 57,
        "seconds": 3.0,
        "metrics": metrics,
        "curve": [{"step": 3 * i, "nmse": 0.4 / i, "codes_changed": 1 / i} for i in range(1, 21)],
    }


def _manifest(name: str, n: int, models: dict, clusterings: dict) -> dict:
    stretch = {"state": "arcsinh", "softening": 2.5, "scale": 0.1, "pedestal": 0.05}
    return {
        "name": name,
        "software": "galaxy_explorer 0.1.0",
        "created": "2019-09-01T00:00:00Z",
        "recipe": {"name": "tiny", "steps": 60},
        "hardware": "2-core x86-64 CPU, float32",
        "survey": {
            "name": "random",
            "band": "r",
            "stamp_size": 64,
            "channels": 1,
            "pixel_scale_arcsec": None,
            "stretch": stretch,
            "fingerprint": "0" * 64,
            "counts": {"accepted": n, "rejected": 0},
            "splits": {"train": n - 40, "validation": 20, "test": 20},
            "sources": [],
        },
        "models": models,
        "clusterings": clusterings,
        "default_clustering": "k512-modern-8x8/codes",
        "display_model": "k512-modern-16x16",
    }
