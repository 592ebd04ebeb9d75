"""Untrained flows for the small bundle: over latents without codes, and over code maps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from galaxy_explorer.bundle.bundle import Bundle, load_bundle
from galaxy_explorer.bundle.card import model_card
from galaxy_explorer.bundle.writer import add_prior_files
from galaxy_explorer.models.conditions import Field, fit_fields
from tests.small_bundle import CONVAE, PRIOR

if TYPE_CHECKING:
    from galaxy_explorer.models.protocols import Prior


def add_small_flow(path: Path, model: str = CONVAE, **changes: object) -> Path:
    """Put a flow into a small bundle; changes: of its entry in the manifest."""
    import torch

    from galaxy_explorer.models.flow import LatentFlow
    from galaxy_explorer.models.inference import build_prior
    from galaxy_explorer.models.prior_training import flow_plan

    bundle = load_bundle(path)
    fields = _fields(bundle)
    config, _ = flow_plan("tiny", (64,), 0, len(fields))
    flow = build_prior(config, 0)
    assert isinstance(flow, LatentFlow)
    flow.start_from(torch.from_numpy(bundle.latents(CONVAE).astype(np.float32)))
    metrics = {"nll": -12.0, "nll_gaussian": 3.0, "label_gain": 0.5, "n_known": 14}
    return _added(path, flow, fields, metrics, model=model, **changes)


def add_small_rectified(path: Path, model: str = PRIOR, **shape: int) -> Path:
    """Put a rectified flow over a model's code maps into a small bundle; shape: of its config."""
    import torch

    from galaxy_explorer.models.flow import RectifiedConfig, RectifiedFlow
    from galaxy_explorer.models.inference import build_prior

    bundle = load_bundle(path)
    codebook, codes = bundle.load_model(model).codebooks[0], bundle.codes(model)
    fields = _fields(bundle)
    config = RectifiedConfig(
        height=codes.shape[1], width=codes.shape[2], layers=2, features=32, heads=4,
        condition_dim=16, components=8, steps=6, n_fields=len(fields),
    )  # fmt: skip
    flow = build_prior(replace(config, **shape), 0)
    assert isinstance(flow, RectifiedFlow)
    torch.manual_seed(1)
    with torch.no_grad():
        flow.codebook.copy_(codebook)
        flow.center.copy_(codebook.mean(0))
        flow.scale.copy_(codebook.std())
        for weight in flow.average.parameters():
            weight.add_(0.2 * torch.randn(weight.shape))
    metrics = {"nll": 1200.0, "bits": 6.8, "label_gain": 0.5, "n_known": 14}
    return _added(path, flow, fields, metrics, model=model)


def _fields(bundle: Bundle) -> list[Field]:
    train = bundle.column("split") == "train"
    return fit_fields(bundle.column, bundle.column_names, train, least=5)


def _added(
    path: Path, prior: Prior, fields: list[Field], metrics: dict, *, model: str, **changes: object
) -> Path:
    from galaxy_explorer.models.inference import save_weights

    entry = {
        "kind": prior.config.kind,
        "config": prior.config.to_dict(),
        "fields": [field.to_dict() for field in fields],
        "recipe": {"name": "tiny", "steps": 60},
        "steps": 60,
        "seconds": 2.0,
        "best_step": 60,
        "metrics": metrics,
        "curve": [{"step": 60, "nll": metrics["nll"]}],
        "default_guidance": 1.0,
        **changes,
    }
    with TemporaryDirectory() as work:
        weights = Path(work) / "flow.safetensors"
        save_weights(prior, weights)
        card = (lambda _: "card\n") if changes else model_card  # of a wrong entry there is none
        return add_prior_files(path, model, entry, weights.read_bytes(), card)
