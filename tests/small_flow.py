"""A flow for the small bundle: untrained, over the latents of its model without codes."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from galaxy_explorer.bundle.bundle import load_bundle
from galaxy_explorer.bundle.card import model_card
from galaxy_explorer.bundle.writer import add_prior_files
from tests.small_bundle import CONVAE


def add_small_flow(path: Path, model: str = CONVAE, **changes: object) -> Path:
    """Put a flow into a small bundle; changes: of its entry in the manifest."""
    import torch

    from galaxy_explorer.models.conditions import fit_fields
    from galaxy_explorer.models.flow import LatentFlow
    from galaxy_explorer.models.inference import build_prior, save_weights
    from galaxy_explorer.models.prior_training import flow_plan

    bundle = load_bundle(path)
    train = bundle.column("split") == "train"
    fields = fit_fields(bundle.column, bundle.column_names, train, least=5)
    config, _ = flow_plan("tiny", (64,), 0, len(fields))
    flow = build_prior(config, 0)
    assert isinstance(flow, LatentFlow)
    flow.start_from(torch.from_numpy(bundle.latents(CONVAE).astype(np.float32)))
    entry = {
        "kind": config.kind,
        "config": config.to_dict(),
        "fields": [field.to_dict() for field in fields],
        "recipe": {"name": "tiny", "steps": 60},
        "steps": 60,
        "seconds": 2.0,
        "best_step": 60,
        "metrics": {"nll": -12.0, "nll_gaussian": 3.0, "label_gain": 0.5, "n_known": 14},
        "curve": [{"step": 60, "nll": -12.0}],
        "default_guidance": 1.0,
        **changes,
    }
    with TemporaryDirectory() as work:
        weights = Path(work) / "flow.safetensors"
        save_weights(flow, weights)
        card = (lambda _: "card\n") if changes else model_card  # of a wrong entry there is none
        return add_prior_files(path, model, entry, weights.read_bytes(), card)
