"""Galaxies of the held-out split and samples of the same types, side by side, for the eye.

What no statistic sees, a person does: whether a spiral has arms. The sheet is drawn by the model
alone, the held-out galaxies as it redraws them, so that no pixel of the survey is in it.
"""

from __future__ import annotations

import io
from functools import partial

import numpy as np

from galaxy_explorer.emulation.emulator import Emulator
from galaxy_explorer.emulation.request import Request
from galaxy_explorer.evaluation.context import Context
from galaxy_explorer.utils.files import StageResult

TTYPES = (-3.0, 1.0, 4.0, 6.0, 9.0)
A_ROW, FEWEST = 10, 3  # galaxies of a type
NEAREST = 0.5  # stages of T, between a held-out galaxy and its row
SEED = 0
LARGER = 1.5  # than the pixels of a stamp
GAP_PX, WORDS_PX = 2, 16
GROUND, INK = 24, 220
QUALITY = 88


def contact_sheet(context: Context, emulator: Emulator, guidance: float) -> bytes | None:
    """WebP of two rows a type: redrawn held-out galaxies, and samples asked for that T alone.

    The first samples of a seed, none left out. Types of which the held-out split has fewer than
    FEWEST galaxies, and those the prior may not be asked for, have no rows; None where no type has.
    """
    field = next((field for field in emulator.fields if field.name == "ttype"), None)
    held_out, file = context.splits == "test", context.bundle.priors[emulator.key].file
    rows: list[tuple[str, np.ndarray]] = []
    for number, ttype in enumerate(TTYPES if field is not None else ()):
        near = np.flatnonzero(held_out & (np.abs(context.ttype - ttype) <= NEAREST))
        if field is None or len(near) < FEWEST or not field.low <= ttype <= field.high:
            continue
        chosen = np.random.default_rng(SEED).permutation(near)[:A_ROW]
        redrawn = context.bundle.decode(emulator.model, np.sort(chosen))
        first = number * A_ROW  # other galaxies in each row
        asked = Request(
            A_ROW, first=first, seed=SEED, condition={"ttype": ttype}, guidance=guidance
        )
        about = {"prior": context.bundle.manifest.files[file].sha256, "first": first, "seed": SEED}
        about |= {"ttype": ttype, "guidance": guidance}
        draw = partial(_codes, emulator, asked)
        drawn = context.stage(f"contact-sheet.{ttype:g}", about, draw).arrays["codes"]
        samples = emulator.decode(drawn)
        rows += [(f"T = {ttype:g}, real galaxies as the model redraws them", redrawn)]
        rows += [(f"T = {ttype:g}, synthetic", samples)]
    return _webp(rows) if rows else None


def _codes(emulator: Emulator, asked: Request) -> StageResult:
    return StageResult({"codes": emulator.codes(asked)}, {})


def _webp(rows: list[tuple[str, np.ndarray]]) -> bytes:
    """Rows of stamps (A_ROW, C, S, S), 0 to 1, each under its words."""
    from PIL import Image, ImageDraw

    side = round(rows[0][1].shape[-1] * LARGER)
    height = (side + GAP_PX + WORDS_PX) * len(rows)
    sheet = Image.new("RGB", ((side + GAP_PX) * A_ROW, height), (GROUND,) * 3)
    pen = ImageDraw.Draw(sheet)
    for number, (words, stamps) in enumerate(rows):
        top = number * (side + GAP_PX + WORDS_PX)
        pen.text((2, top + 2), words, fill=(INK,) * 3)
        for place, stamp in enumerate(stamps):
            bands = stamp if len(stamp) == 3 else np.repeat(stamp.mean(0, keepdims=True), 3, 0)
            eight = np.rint(np.clip(bands, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
            picture = Image.fromarray(eight).resize((side, side), Image.Resampling.BICUBIC)
            sheet.paste(picture, (place * (side + GAP_PX), top + WORDS_PX))
    buffer = io.BytesIO()
    sheet.save(buffer, "WEBP", quality=QUALITY, method=6)
    return buffer.getvalue()
