"""The priors of a bundle: what the manifest says of each, and the networks themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxy_explorer.bundle_models import check_weights
from galaxy_explorer.bundle_prior_schema import CODE_PRIOR, FLOW, kind_of
from galaxy_explorer.errors import BundleError
from galaxy_explorer.models.prior_fields import Field

if TYPE_CHECKING:
    from galaxy_explorer.models.priors import Prior


@dataclass(frozen=True)
class PriorEntry:
    """The prior over the code maps or latents of one model as the manifest describes it.

    kind: "pixelcnn" of code maps, "flow" of latents. fields: what it may be asked for.
    default_guidance: 1 until `evaluate --emulator` chooses it. metrics: of the held-out galaxies
    with a known T: nll, nats a galaxy asked for all that is known, of a flow a density over
    latents, which may be below 0; bits, the same a code; nll_gaussian, of a Gaussian in place of
    the flow; nll_first, asked for T alone; nll_withheld, for nothing; label_gain, the nats that
    shuffling T costs nll_first, and its error; n_known, how many they are. curve: the same on the
    validation split every 5 % of the steps.
    """

    model: str
    config: dict[str, Any]
    fields: tuple[Field, ...]
    steps: int
    seconds: float
    default_guidance: float
    metrics: dict[str, float]
    recipe: dict[str, Any]
    curve: tuple[dict[str, float], ...] = ()
    best_step: int | None = None
    kind: str = CODE_PRIOR


def read_priors(
    manifest: dict[str, Any],
    data: dict[str, bytes],
    folder: Path,
    encoded: Mapping[str, np.ndarray],
) -> dict[str, PriorEntry]:
    """Entries by the name of their model; none of a bundle without priors.

    encoded: what each model encodes the galaxies to. Raises BundleError naming the file whose
    weights are not numbers, or that draws as many latents as its model does not have.
    """
    priors = {}
    for model, entry in manifest.get("priors", {}).items():
        check_weights(data[entry["file"]], folder / entry["file"])
        count = encoded[model].shape[1]
        if kind_of(entry) == FLOW and entry["config"]["latents"] != count:
            raise BundleError(f"{folder / entry['file']}: {model} has {count} latents")
        priors[model] = _entry(model, entry)
    return priors


def _entry(model: str, entry: dict[str, Any]) -> PriorEntry:
    return PriorEntry(
        model=model,
        config=entry["config"],
        fields=tuple(Field(**field) for field in entry["fields"]),
        steps=entry["steps"],
        seconds=float(entry.get("seconds", 0)),
        default_guidance=float(entry["default_guidance"]),
        metrics=entry["metrics"],
        recipe=entry.get("recipe", {}),
        curve=tuple(entry.get("curve", ())),
        best_step=entry.get("best_step"),
        kind=kind_of(entry),
    )


def main_prior(priors: Iterable[PriorEntry]) -> PriorEntry | None:
    """The prior that draws where none is named: the first of code maps, else the first."""
    return min(priors, key=lambda entry: entry.kind != CODE_PRIOR, default=None)


def open_prior(entry: PriorEntry, path: Path) -> Prior:
    """The network of a verified file, in evaluation mode; raises BundleError where it does not fit.

    Loads torch at the first call.
    """
    from galaxy_explorer.models.inference import load_prior
    from galaxy_explorer.models.priors import prior_config

    try:
        return load_prior(prior_config(entry.kind, entry.config), path)
    except (ValueError, TypeError, KeyError, RuntimeError) as error:
        raise BundleError(f"{path}: does not fit the prior of {entry.model}: {error}") from None
