"""Files of synthetic galaxies for a visitor: FITS, PNG and catalogue, each marked as synthetic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.emulation.header import cards, file_stem
from galaxy_explorer.emulation.maker import Maker, Wish
from galaxy_explorer.emulation.output import catalogue, fits_bytes, png_bytes
from galaxy_explorer.explorer.downloads import Made
from galaxy_explorer.tables_io import encode_table

if TYPE_CHECKING:
    from galaxy_explorer.emulation.likeness import Facts
    from galaxy_explorer.emulation.request import Request
    from galaxy_explorer.explorer.emulator_source import EmulatorSource

KINDS = ["fits", "png", "ecsv"]


def made_file(
    source: EmulatorSource,
    request: Request,
    codes: NDArray[np.integer],
    facts: Facts | None,
    *,
    wish: Wish,
    kind: str,
) -> Made:
    """Name and bytes of a file of the galaxies of a request.

    kind: "fits" (cube, catalogue, codes), "png" (a sheet) or "ecsv" (the catalogue alone). Raises
    RequestError for what cannot be observed.
    """
    maker = Maker(source.emulator, wish, request.condition)
    stem, lines = file_stem(maker, request), cards(maker, request)
    observed = maker.observe(codes, request)
    if kind == "png":
        return stem, png_bytes(observed.stretched, lines)
    known = {} if facts is None else _known(source, facts)
    flux = observed.pixels.sum((2, 3), dtype=np.float64)
    table = catalogue(
        maker, request, codes, flux[:, 0] if flux.shape[1] == 1 else flux,
        log_prob=None if facts is None else facts.log_prob, measured=known,
    )  # fmt: skip
    if kind == "ecsv":
        return stem, encode_table(table, "ecsv")
    return stem, fits_bytes(observed.pixels, table, codes, lines, maker.setup.psf)


def _known(source: EmulatorSource, facts: Facts) -> dict[str, NDArray[Any]]:
    ids = np.asarray(source.bundle.column("galaxy_id"), str)[facts.rows]
    known = {"nearest_real": ids, "nearest_distance": facts.distances}
    return known if facts.judged is None else {**known, "judged_ttype": facts.judged}
