"""`deconvolution.json`, and the model with the PSF layer, of a bundle that has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from galaxy_explorer.bundle.bundle import Bundle
from galaxy_explorer.bundle.files import strict_json, verified_bytes
from galaxy_explorer.errors import BundleError

if TYPE_CHECKING:
    from galaxy_explorer.models.psf import PSFVQVAE

DECONVOLUTION = "deconvolution.json"
FORMAT = 1
PSF_KIND = "psf-vqvae"
CURE = "train one with galaxy-explorer train SURVEY --models k512-psf-21x21"
NUMBERS, TEXTS = ("peak_sn", "value", "low", "high", "n"), ("method", "name", "unit")


def psf_model_name(bundle: Bundle) -> str | None:
    """Name of the model with the PSF layer; None where the bundle has none."""
    return next((n for n, entry in bundle.models.items() if entry.kind == PSF_KIND), None)


def psf_model(bundle: Bundle) -> PSFVQVAE:
    """The model with the PSF layer; raises BundleError where the bundle has none."""
    from galaxy_explorer.models.psf import PSFVQVAE

    name = psf_model_name(bundle)
    model = None if name is None else bundle.load_model(name)
    if not isinstance(model, PSFVQVAE):
        raise BundleError(f"{bundle.path}: no model with the PSF layer; {CURE}")
    return model


def read_deconvolution(bundle: Bundle) -> dict[str, Any] | None:
    """What evaluate-deconvolution measured; None where it has not been run on the bundle.

    Raises BundleError where the file is altered or not what the command writes.
    """
    entry = bundle.manifest["files"].get(DECONVOLUTION)
    if entry is None:
        return None
    path = bundle.path / DECONVOLUTION
    found = strict_json(verified_bytes(path, entry), path)
    figures = found.get("figures")
    if found.get("format") != FORMAT or not isinstance(figures, list):
        raise BundleError(f"{path}: not of format {FORMAT}; run evaluate-deconvolution again")
    for number, figure in enumerate(figures):
        if not isinstance(figure, dict) or not _is_figure(figure):
            raise BundleError(f"{path}: figures[{number}]: run evaluate-deconvolution again")
    return found


def _is_figure(figure: dict[str, Any]) -> bool:
    numbers = all(type(figure.get(name)) in (int, float) for name in NUMBERS)
    return numbers and all(isinstance(figure.get(name), str) for name in TEXTS)
