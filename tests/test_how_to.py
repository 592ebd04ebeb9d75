"""What the how-tos say is run as it stands, on small data of the kind that each speaks of.

Of a page the blocks ```sh (lines that begin with galaxy-explorer) and ```python are run in their
order, in a folder that holds what the page begins with; blocks of Python share their names.
"""

from __future__ import annotations

import re
import runpy
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from PIL import Image
from typer.testing import CliRunner

from galaxy_explorer import cli
from tests.evaluation.test_emulator import simple_measure
from tests.small_bundle import write_small_bundle
from tests.small_survey import blobs
from tests.trained_bundle import flat_map

PAGES = Path(__file__).resolve().parent.parent / "docs" / "how-to"
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TTYPES = np.linspace(-5, 8, 24)


def sky(centre: tuple[float, float], side: int, scale_arcsec: float) -> WCS:
    """A plain projection, north up and east left."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = centre
    wcs.wcs.crpix = [(side + 1) / 2] * 2
    wcs.wcs.cdelt = [-scale_arcsec / 3600, scale_arcsec / 3600]
    return wcs


def legacy_surveys(folder: Path) -> None:
    """Cutouts in g, r and z of 0.262 arcsec/px in nanomaggies, and a table of them."""
    (folder / "legacy").mkdir()
    light = blobs(TTYPES, np.random.default_rng(0), size=128)[:, 0] - 0.05
    names = [f"g{number:02d}" for number in range(24)]
    for number, (name, stamp) in enumerate(zip(names, light, strict=True)):
        header = sky((150 + 0.01 * number, 2.0), 128, 0.262).to_header()
        header["BANDS"] = "grz"
        header.update({f"BAND{place}": band for place, band in enumerate("grz")})
        header["BUNIT"] = "nanomaggy"
        planes = np.stack([stamp * part for part in (0.6, 1.0, 1.4)]).astype(np.float32)
        fits.PrimaryHDU(planes, header).writeto(folder / "legacy" / f"{name}.fits")
    ra = 150 + 0.01 * np.arange(24)
    files = [f"{name}.fits" for name in names]
    table = Table({"name": names, "ra": ra, "dec": np.full(24, 2.0), "file": files, "T": TTYPES})
    table.write(folder / "galaxies.csv")


def mosaic(folder: Path) -> None:
    """An image with a WCS and a catalogue of positions, of which one lies outside."""
    side, scale = 900, 0.2
    wcs = sky((10.0, -5.0), side, scale)
    rng = np.random.default_rng(1)
    image = rng.normal(0, 0.02, (side, side))
    light = blobs(TTYPES, rng, size=100)[:, 0] - 0.05
    places = [(100 + 140 * (i % 6), 150 + 180 * (i // 6)) for i in range(24)]
    for (x, y), stamp in zip(places, light, strict=True):
        image[y - 50 : y + 50, x - 50 : x + 50] += stamp
    fits.PrimaryHDU(image.astype(np.float32), wcs.to_header()).writeto(folder / "mosaic_r.fits")
    ra, dec = wcs.all_pix2world([*[x for x, _ in places], 5000], [*[y for _, y in places], 5000], 0)
    table = Table({"NUMBER": np.arange(1, 26), "ALPHA_J2000": ra, "DELTA_J2000": dec})
    table.write(folder / "sources.fits")


def bundle(folder: Path) -> None:
    """A bundle with a prior."""
    write_small_bundle(folder / "trained" / "mine", n=60)


def bundle_and_pictures(folder: Path) -> None:
    """A bundle, and pictures that it can be asked about."""
    bundle(folder)
    (folder / "my_galaxies").mkdir()
    for number, stamp in enumerate(blobs(TTYPES[:5], np.random.default_rng(2))):
        pixels = (255 * stamp[0].clip(0, 1)).round().astype(np.uint8)
        Image.fromarray(pixels).save(folder / "my_galaxies" / f"g{number}.png")


def bundle_and_labels(folder: Path) -> None:
    """A bundle, and what two people say of twenty of its galaxies: nearly the same."""
    bundle(folder)
    ids = [f"galaxy-{number:04d}" for number in range(20)]
    for name, shift in (("ada", 0), ("grace", 1)):
        stages = [f"T{number % 7 + (shift if number < 4 else 0)}" for number in range(20)]
        Table({"galaxy_id": ids, "stage": stages}).write(folder / f"{name}.csv")


def nothing(_: Path) -> None:
    """The page makes all that it needs."""


BEGINNINGS: dict[str, Callable[[Path], None]] = {
    "legacy-surveys": legacy_surveys,
    "mosaic": mosaic,
    "classify": bundle_and_pictures,
    "read-a-bundle": nothing,
    "label-together": bundle_and_labels,
    "thousand-galaxies": bundle,
    "train-and-evaluate": nothing,
    "figures-in-a-notebook": bundle,
}
SLOW = {
    "thousand-galaxies": (pytest.mark.slow,),
    "train-and-evaluate": (pytest.mark.long, pytest.mark.timeout(1800)),
}


def commands(block: str) -> list[list[str]]:
    """Words of the commands of a block of shell, patterns of files filled in."""
    found = []
    for line in block.replace("\\\n", " ").splitlines():
        program, *words = shlex.split(line)
        assert program == "galaxy-explorer", line
        here = Path()
        filled = [sorted(map(str, here.glob(word))) if "*" in word else [word] for word in words]
        found.append([word for part in filled for word in part])
    return found


def follow(page: str, folder: Path) -> int:
    """Do what a page says, in a folder; returns how many blocks that were."""
    names: dict[str, object] = {}
    blocks = BLOCK.findall((PAGES / f"{page}.md").read_text(encoding="utf-8"))
    for number, (language, block) in enumerate(blocks):
        if language == "sh":
            for words in commands(block):
                done = CliRunner().invoke(cli.app, words)
                assert done.exit_code == 0, (words, done.output, done.exception)
        else:
            script = folder / f"block{number}.py"
            script.write_text(block, encoding="utf-8")
            names |= runpy.run_path(str(script), init_globals=names)
    return len(blocks)


@pytest.mark.parametrize("page", [pytest.param(p, marks=SLOW.get(p, ())) for p in BEGINNINGS])
def test_what_a_page_says_works(page: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("galaxy_explorer.pipeline.clusters.fit_map", flat_map)
    monkeypatch.setattr("galaxy_explorer.emulation.morphology.measure_one", simple_measure)
    monkeypatch.setenv("GALAXY_EXPLORER_LABELS", str(tmp_path / "default.db"))
    BEGINNINGS[page](tmp_path)
    assert follow(page, tmp_path) >= 2


def test_every_page_with_such_blocks_is_run() -> None:
    with_blocks = {path.stem for path in PAGES.glob("*.md") if BLOCK.search(path.read_text())}
    assert with_blocks == set(BEGINNINGS)


def test_what_does_not_work_would_be_seen(tmp_path: Path, monkeypatch) -> None:
    page = tmp_path / "page.md"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tests.test_how_to.PAGES", tmp_path)
    page.write_text("```sh\ngalaxy-explorer info absent\n```\n")
    with pytest.raises(AssertionError, match="absent"):
        follow("page", tmp_path)
    page.write_text("```python\nassert 1 > 2\n```\n")
    with pytest.raises(AssertionError):
        follow("page", tmp_path)
    page.write_text("```sh\nrm data\n```\n")
    with pytest.raises(AssertionError, match="rm data"):
        follow("page", tmp_path)
