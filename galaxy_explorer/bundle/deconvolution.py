"""`deconvolution.json`, and the model with the PSF layer, of a bundle that has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

from msgspec import Struct

from galaxy_explorer.bundle.bundle import Bundle
from galaxy_explorer.bundle.files import verified_bytes
from galaxy_explorer.bundle.json_values import FieldError, Many, Text, build, strict_json
from galaxy_explorer.errors import BundleError
from galaxy_explorer.models.registry import AUTOENCODERS

if TYPE_CHECKING:
    from galaxy_explorer.models.psf import PSFVQVAE

DECONVOLUTION = "deconvolution.json"
FORMAT = 1
CURE = "train one with galaxy-explorer train SURVEY --models k512-psf-21x21"


class DeconvolutionFigure(Struct, frozen=True):
    """One figure of one method at one peak S/N, with its 95 % interval over n galaxies.

    control: the same figure against the truth of other galaxies, None where there is none.
    """

    peak_sn: float
    method: Text
    name: Text
    value: float
    low: float
    high: float
    n: int
    unit: Text
    control: float | None = None


class Band(Struct, frozen=True):
    """What a PSF lets through: its MTF at frequencies, in cycles per arcsec.

    limit_cycles_per_arcsec: beyond it the MTF is below a tenth.
    """

    limit_cycles_per_arcsec: float
    frequency: Many[float]
    mtf: Many[float]
    nyquist_cycles_per_arcsec: float | None = None


class DeconvolutionMeasures(Struct, frozen=True):
    """What evaluate-deconvolution measured of a model.

    settings, costs: by peak S/N, of each method; stamps, real: reduced chi^2 of stamps as they are.
    """

    format: Literal[1]
    model: Text
    figures: Many[DeconvolutionFigure]
    band: Band
    targets: Many[dict[str, Any]] = ()
    settings: dict[str, Any] = {}
    costs: dict[str, Any] = {}
    stamps: dict[str, Any] = {}
    real: dict[str, Any] = {}


def psf_model_name(bundle: Bundle) -> str | None:
    """Name of the model with the PSF layer; None where the bundle has none."""
    return next((n for n, e in bundle.models.items() if AUTOENCODERS[e.kind].has_psf_layer), None)


def psf_model(bundle: Bundle) -> PSFVQVAE:
    """The model with the PSF layer; raises BundleError where the bundle has none."""
    name = psf_model_name(bundle)
    if name is None:
        raise BundleError(f"{bundle.path}: no model with the PSF layer; {CURE}")
    return cast("PSFVQVAE", bundle.load_model(name))


def read_deconvolution(bundle: Bundle) -> DeconvolutionMeasures | None:
    """What evaluate-deconvolution measured; None where it has not been run on the bundle.

    Raises BundleError where the file is altered or not what the command writes.
    """
    entry = bundle.manifest.files.get(DECONVOLUTION)
    if entry is None:
        return None
    path = bundle.path / DECONVOLUTION
    try:
        return build(strict_json(verified_bytes(path, entry), path), DeconvolutionMeasures)
    except FieldError as error:
        raise BundleError(f"{path}: {error}; run evaluate-deconvolution again") from None
