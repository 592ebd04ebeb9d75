"""A small survey of soft blobs, round for early and long for late "types"; quick to make."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from galaxy_explorer.survey.store import Survey, SurveySpec
from galaxy_explorer.survey.writer import SurveyWriter


def blobs(ttype: np.ndarray, rng: np.random.Generator, size: int = 64) -> np.ndarray:
    """Stretched stamps (N, 1, size, size) whose axis ratio falls with T."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    angle = rng.uniform(0, np.pi, len(ttype))[:, None, None]
    ratio = (1 - 0.07 * (np.nan_to_num(ttype) + 5))[:, None, None].clip(0.2, 1)
    long, short = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    light = np.exp(-np.sqrt(long**2 + (short / ratio) ** 2) / rng.uniform(4, 9, ratio.shape))
    stamps = 0.05 + 0.7 * light + rng.normal(0, 0.02, light.shape)
    return stamps[:, None].astype(np.float32)


def write_small_survey(
    path: Path, *, n: int = 160, seed: int = 0, band: str = "r", attributes: bool = False
) -> Survey:
    """Write `n` galaxies, three in ten of them without a type, already stretched.

    With several bands, such as "r, g", each is fainter than the one before, more so for late types.
    attributes: those with a type have arms, from 0 to 1 with T, with their limits, and say whose
    T it is; those without one have a class.
    """
    rng = np.random.default_rng(seed)
    ttype = rng.uniform(-5, 8, n)
    ttype[rng.random(n) < 0.3] = np.nan
    spec = SurveySpec(
        name="blobs", source="drawn", band=band, state="arcsinh", channels=len(band.split(","))
    )
    writer = SurveyWriter(path, spec, recipe={"n": n, "seed": seed})
    columns = {
        "galaxy_id": np.array([f"blob-{seed}-{i}" for i in range(n)]),
        "ttype": ttype,
        "magnitude": rng.normal(15, 1, n),
    }
    if attributes:
        typed = np.isfinite(ttype)
        columns["arm_strength"] = arms = ((ttype + 5) / 13).clip(0, 1)
        columns |= {"arm_strength_inf": arms - 0.1, "arm_strength_sup": arms + 0.1}
        columns["ttype_source"] = np.where(typed, np.where(rng.random(n) < 0.7, "A", "B"), "")
        columns["class"] = np.where(typed, "", np.where(rng.random(n) < 0.5, "round", "spiral"))
    fading = 0.8 + 0.01 * np.nan_to_num(ttype)[:, None, None, None]
    light = blobs(ttype, rng)
    stamps = [light * fading**plane for plane in range(len(band.split(",")))]
    writer.append(np.concatenate(stamps, axis=1).astype(np.float32), columns, cursor=n)
    return writer.finish({"catalog_rows": n})
