"""Laws of reading over layouts that nobody thought of: ids, units, holes, scales, PSFs, names."""

from __future__ import annotations

import io
import unicodedata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import Table
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from galaxy_explorer.errors import BadCatalog, BadImage
from galaxy_explorer.survey.catalog import CatalogRow, all_rows, stage_catalog
from galaxy_explorer.survey.columns import column_names, map_columns, settle_columns
from galaxy_explorer.survey.cubes import CubeSource, open_cube
from galaxy_explorer.survey.folders import PictureIndex
from galaxy_explorer.survey.images import image_of, read_image
from galaxy_explorer.survey.photometry import sky_level
from galaxy_explorer.survey.scales import PointSpread, pixel_scale, read_psf
from galaxy_explorer.utils.tables import hubble_stage, stage_or_nan

ASCII_IDS = st.text(
    st.characters(codec="ascii", categories=("L", "N"), include_characters=" .+-_#:"),
    min_size=1,
    max_size=12,
).filter(lambda text: text == text.strip() and text.strip("0123456789.+-eE"))
NUMBERLIKE = st.sampled_from(("0012", "1e5", "007", "-5", "+3", "1_0", "nan", "NA", "None", "True"))
WHOLE = st.integers(0, 2**64 - 1)


def rows_of(path: Path, **given_columns: str) -> list[CatalogRow]:
    """The rows of a catalogue as the ingest sees them."""
    catalog = stage_catalog(path, path.with_name("staged.parquet"), given_columns)
    columns = map_columns(column_names(catalog), given_columns, path.name)
    return list(all_rows(catalog, settle_columns(catalog, columns, given_columns, path.name)))


def write_ids(path: Path, ids: list[Any], kind: str) -> Path:
    """A catalogue with the column objid; kind: of the file and of its ids."""
    file, _, stored = kind.partition(" ")
    texts = [str(one) for one in ids]
    if file == "csv":
        path = path.with_suffix(".csv")
        quoted = (f'"{text}"' for text in texts)
        path.write_text("\n".join(["x,objid", *(f"1,{text}" for text in quoted), ""]))
        return path
    values: Any = {
        "text": texts,
        "bytes": [text.encode() for text in texts],
        "number": ids,
        "float": [float(one) for one in ids] if stored == "float" else None,
    }[stored]
    if file == "parquet":
        path = path.with_suffix(".parquet")
        kinds = {"number": pa.uint64(), "float": pa.float64(), "text": pa.string()}
        pq.write_table(pa.table({"objid": pa.array(values, kinds.get(stored, pa.binary()))}), path)
        return path
    dtype = {"number": np.uint64, "float": np.float64}.get(stored)
    path = path.with_suffix({"votable": ".vot", "ecsv": ".ecsv", "fits": ".fits"}[file])
    form = {"votable": "votable", "ecsv": "ascii.ecsv", "fits": "fits"}[file]
    Table({"objid": np.array(values, dtype=dtype)}).write(path, format=form)
    return path


@settings(deadline=None, max_examples=60)
@given(
    st.one_of(
        st.tuples(
            st.lists(ASCII_IDS, min_size=1, max_size=5, unique=True),
            st.sampled_from(
                ("csv", "parquet text", "parquet bytes", "fits text", "fits bytes", "votable text",
                 "ecsv text")
            ),
        ),
        st.tuples(st.lists(NUMBERLIKE, min_size=1, max_size=5, unique=True), st.just("csv")),
        st.tuples(
            st.lists(WHOLE, min_size=1, max_size=5, unique=True),
            st.sampled_from(("csv", "parquet number", "fits number", "ecsv number")),
        ),
        st.tuples(
            st.lists(st.integers(0, 2**53 - 1), min_size=1, max_size=5, unique=True),
            st.sampled_from(("parquet float", "fits float", "votable float")),
        ),
    )
)  # fmt: skip
def test_ids_come_through_any_file_to_the_last_digit(drawn: tuple[list[Any], str]) -> None:
    ids, kind = drawn
    with TemporaryDirectory() as folder:
        rows = rows_of(write_ids(Path(folder) / "c", ids, kind))
    assert [row.galaxy_id for row in rows] == [str(one) for one in ids]


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(1000, 2**53 - 1), min_size=2, max_size=6, unique=True),
    st.sampled_from(("objID", "OBJID", "ids", "name", "source")),
    st.sampled_from((np.int64, np.uint64, np.float64, ">i8", str, bytes)),
    st.randoms(use_true_random=False),
)
def test_stamps_of_a_cube_go_to_their_galaxies(ids, array, kind, random) -> None:
    shuffled = random.sample(ids, len(ids))
    stored = np.array([str(one) for one in ids], kind) if kind in (str, bytes) else None
    stamps = np.arange(len(ids), dtype=np.float32)[:, None, None] * np.ones((4, 4), np.float32)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "cube.npz"
        values = np.array(ids, kind) if stored is None else stored
        np.savez(path, images=stamps, flag=np.zeros(len(ids), int), **{array: values})
        cube = open_cube(path, Path(folder), "objid")
        source = CubeSource(cube, len(ids), ids=[str(one) for one in shuffled])
        for row, one in enumerate(shuffled):
            place = source.file_of(CatalogRow(row, str(one), "", np.nan, np.nan, np.nan))
            assert place.endswith(f"[{ids.index(one)}]")


ANGLES = {"deg": 1.0, "rad": np.pi / 180, "arcsec": 3600.0, "arcmin": 60.0, "h": 1 / 15}
SPELT = {"deg": "degrees", "rad": "radian", "arcsec": "arcsec", "arcmin": "arcmin", "h": "hours"}


@settings(deadline=None, max_examples=60)
@given(
    st.floats(0, 359.9), st.floats(-89.9, 89.9), st.sampled_from(sorted(ANGLES)),
    st.sampled_from(("fits", "votable", "ecsv", "parquet", "name", "brackets", "sexagesimal")),
)  # fmt: skip
def test_positions_are_degrees_whatever_says_their_unit(ra, dec, unit, way) -> None:
    right, up = ra * ANGLES[unit], dec * ANGLES["deg" if unit == "h" else unit]
    names, other = ["ra", "dec"], "deg" if unit == "h" else unit
    with TemporaryDirectory() as folder:
        path = Path(folder) / "c.csv"
        if way in ("name", "brackets"):
            form = "{}_{}" if way == "name" else "{} [{}]"
            assume(way == "brackets" or unit in ("deg", "rad", "arcsec", "h"))
            names = [form.format("RA", unit), form.format("Dec", other)]
            path.write_text(f"id,{names[0]},{names[1]}\na,{right!r},{up!r}\n")
        elif way == "sexagesimal":
            hours, rest = divmod(ra / 15, 1)
            words = f"{int(hours):02d}:{rest * 60:.8f}"
            whole, part = divmod(abs(dec), 1)
            path.write_text(f"id,ra,dec\na,{words},{'-' * (dec < 0)}{int(whole)}:{part * 60:.8f}\n")
        else:
            table = Table({"id": ["a"], "ra": [right], "dec": [up]})
            table["ra"].unit, table["dec"].unit = unit, other
            form = {"ecsv": "ascii.ecsv"}.get(way, way)
            path = path.with_suffix(f".{way}")
            table.write(path, format=form)
        (row,) = rows_of(path)
    assert row.ra == pytest.approx(ra, abs=1e-6)
    assert row.dec == pytest.approx(dec, abs=1e-6)


def noisy(side: int, sky: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.indices((side, side)) - (side - 1) / 2
    light = 60.0 * np.exp(-np.hypot(x, y) / 4)
    return (sky + light + rng.normal(0, 2, light.shape)).astype(np.float32)


@settings(deadline=None, max_examples=40)
@given(
    st.tuples(st.booleans(), st.booleans()), st.integers(5, 40), st.integers(5, 14),
    st.sampled_from((0.0, np.nan, -99.0, np.inf, 1e31)),
    st.tuples(st.sampled_from((0.0, 50.0, 1000.0)), st.integers(0, 9)),
)  # fmt: skip
def test_a_hole_at_the_edge_changes_nothing_but_itself(corner, long, deep, value, scene):
    """Sky and sigma stay, and what stands in the hole never enters the pixels."""
    sky, seed = scene
    whole = noisy(80, sky, seed)
    rows = slice(80 - long, 80) if corner[0] else slice(0, long)
    columns = slice(80 - deep, 80) if corner[1] else slice(0, deep)
    cut = whole.copy()
    cut[rows, columns] = value
    image = image_of(cut[None], "a", linear=True)
    level, sigma = sky_level(whole)
    found = sky_level(image.data[0], image.valid[0])
    assert found[1] == pytest.approx(sigma, rel=0.1)
    assert found[0] == pytest.approx(level, abs=0.5 * sigma)
    hole = np.zeros((80, 80), bool)
    hole[rows, columns] = True
    np.testing.assert_array_equal(image.valid[0], ~hole)
    np.testing.assert_array_equal(image.data[0][~hole], whole[~hole])
    marked = whole.copy()
    marked[hole] = np.nan
    again = image_of(marked[None], "a", linear=True)
    np.testing.assert_array_equal(image.data, again.data)


STEP = 0.2 / 3600
MATRICES = ("CD", "PC and CDELT", "PC in degrees", "CROTA2", "arcsec", "swapped", "SECPIX", "mas")


@settings(deadline=None, max_examples=80)
@given(
    st.floats(0.01, 3.0), st.floats(0, 360), st.booleans(), st.sampled_from(MATRICES),
    st.tuples(st.floats(0, 359), st.floats(-85, 85)),
)  # fmt: skip
def test_a_pixel_scale_is_read_however_it_is_written(scale, angle, mirrored, way, place) -> None:
    ra, dec = place
    step, turn = scale / 3600, np.radians(angle)
    turned = np.array([[-np.cos(turn), np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    turned[:, 0] *= -1 if mirrored else 1
    cards: dict[str, Any] = {"NAXIS": 2, "NAXIS1": 50, "NAXIS2": 40, "CRPIX1": 20.0, "CRPIX2": 9.0}
    cards |= {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": ra, "CRVAL2": dec}
    places = [(i, j) for i in (1, 2) for j in (1, 2)]
    if way == "SECPIX":
        cards = {"SECPIX": scale}
    elif way == "mas":
        cards = {"PIXSCALE": f"{1000 * scale} mas/pixel"}
    elif way in ("CD", "swapped"):
        cards |= {f"CD{i}_{j}": step * turned[i - 1, j - 1] for i, j in places}
        if way == "swapped":
            cards |= {"CTYPE1": "DEC--TAN", "CTYPE2": "RA---TAN", "CRVAL1": dec, "CRVAL2": ra}
    elif way == "CROTA2":
        cards |= {"CDELT1": -step, "CDELT2": step, "CROTA2": angle}
    elif way == "arcsec":
        cards |= {"CDELT1": -scale, "CDELT2": scale, "CUNIT1": "arcsec", "CUNIT2": "arcsec"}
        cards |= {"CRVAL1": ra * 3600, "CRVAL2": dec * 3600}
    else:
        factor, delta = (1.0, step) if way == "PC and CDELT" else (step, 1.0)
        cards |= {f"PC{i}_{j}": factor * turned[i - 1, j - 1] for i, j in places}
        cards |= {"CDELT1": delta, "CDELT2": delta}
    assert pixel_scale(cards) == pytest.approx(scale, rel=1e-6)
    header = fits.Header(cards)
    header.extend([("BUNIT", "nJy"), ("PLTSCALE", 67.2)])  # arcsec/mm: no scale of pixels
    assert pixel_scale(header) == pytest.approx(scale, rel=1e-6)


def star(shape: tuple[int, int], y: float, x: float, width: float) -> np.ndarray:
    rows, columns = np.indices(shape)
    light = np.exp(-4 * np.log(2) * ((rows - y) ** 2 + (columns - x) ** 2) / width**2)
    return np.asarray(light / light.sum())


def psf_of(image: np.ndarray, **cards: Any) -> PointSpread:
    stream = io.BytesIO()
    fits.PrimaryHDU(image.astype(np.float64), fits.Header(cards)).writeto(stream)
    return read_psf(stream.getvalue(), name="p.fits")


@settings(deadline=None, max_examples=60)
@given(
    st.tuples(st.integers(31, 46), st.integers(31, 46)),
    st.tuples(st.integers(12, 18), st.integers(12, 18), st.floats(2.2, 4.0)),
    st.sampled_from((1.0, 3e4)), st.sampled_from((0.0, -0.002, 0.01, 0.2)), st.floats(0.0, 0.2),
)  # fmt: skip
def test_a_psf_keeps_its_shape_in_any_file(shape, place, flux, pedestal, ringing) -> None:
    """Un-normalised, off-centre, on a pedestal, with negative wings: the same light."""
    (height, width), (y, x, fwhm) = shape, place
    true = star((height, width), y, x, fwhm)
    true = true - ringing * star((height, width), y, x + 7, fwhm)
    found = psf_of(flux * (true + pedestal * true.max()))
    half = len(found.values) // 2
    assert found.values.shape == (2 * half + 1, 2 * half + 1)
    kept = found.values[half - y :, half - x :][:height, :width]
    np.testing.assert_allclose(kept, true / true.sum(), atol=2e-3 * true.max())
    if ringing > 0.05:
        assert found.values.min() < 0


@settings(deadline=None, max_examples=40)
@given(
    st.integers(2, 5), st.floats(2.5, 4.0), st.booleans(), st.sampled_from(("OVERSAMP", "scale"))
)
def test_an_oversampled_psf_is_as_wide_on_the_images_pixels(times, fwhm, odd, way) -> None:
    side = 41 * times + (41 * times + odd + 1) % 2
    fine = star((side, side), (side - 1) / 2, (side - 1) / 2, fwhm * times)
    cards = {"OVERSAMP": times} if way == "OVERSAMP" else {"PIXSCALE": 0.06 / times}
    values, words = psf_of(fine, **cards).on_pixels(0.06)
    rows = np.indices(values.shape)[0] - len(values) // 2
    spread = float(np.sqrt((values * rows**2).sum()))
    assert spread == pytest.approx(np.hypot(fwhm / 2.3548, np.sqrt(1 / 12)), rel=0.02)
    assert "summed" in words[0]


STEMS = {"0": -2, "0/a": 0, "a": 1, "ab": 2, "b": 3, "bc": 4, "c": 5, "cd": 6, "d": 7, "m": 9}
DRESS = st.sampled_from(("", ":", "?", " pec", " sp", ", edge-on", " HII", ";LINER", " Sy2"))


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(sorted(STEMS)), st.sampled_from(("S", "SA", "SB", "SAB")),
    st.sampled_from(("", "(r)", "(s)", "(rs)", "(r'l)")), st.sampled_from(("", "(R)", "(R')")),
    DRESS,
)  # fmt: skip
def test_bars_rings_and_remarks_change_no_stage(stem, family, ring, outer, dress) -> None:
    assert hubble_stage(f"{outer}{family}{ring}{stem}{dress}") == STEMS[stem]


@settings(deadline=None, max_examples=100)
@given(st.one_of(st.floats(-1e6, 1e6), st.integers(-9999, 9999)), st.sampled_from("+ -\u2212"))
def test_numbers_are_stages_within_the_margin_and_unknown_beyond(number, sign) -> None:
    text = f"{abs(number):.6f}"
    signed = -abs(number) if sign in "-\u2212" else abs(number)
    stage = float(stage_or_nan([hubble_stage(f"{sign.strip()}{text}")])[0])
    if -6.5 <= round(signed, 6) <= 11.5:
        assert stage == pytest.approx(signed, abs=1e-6)
    else:
        assert np.isnan(stage)


NAMES = st.text(
    st.characters(categories=("L", "N"), include_characters="+-_. ", max_codepoint=0x17F),
    min_size=1,
    max_size=10,
).filter(lambda text: text == text.strip(" .") and text.upper().casefold() == text.casefold())
CHANGES = ("as it is", "case", "NFD", "suffix", "no suffix", "folder", "backslash", "absolute")


def alike(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


@settings(deadline=None, max_examples=100)
@given(
    st.lists(NAMES, min_size=2, max_size=6, unique_by=alike),
    st.sampled_from(("", "sub/", "a/b/")), st.sampled_from((".fits", ".JPG", ".fits.gz")),
    st.sampled_from(CHANGES),
)  # fmt: skip
def test_a_picture_is_found_under_its_names_and_never_another(
    names, folder, suffix, change
) -> None:
    index = PictureIndex([f"{folder}{name}{suffix}" for name in names], "/data/in")
    for name in names:
        asked = {
            "as it is": f"{folder}{name}{suffix}",
            "case": f"{folder}{name}{suffix}".upper(),
            "NFD": unicodedata.normalize("NFD", f"{folder}{name}{suffix}"),
            "suffix": f"{name}.png",
            "no suffix": name,
            "folder": f"in/{folder}{name}{suffix}",
            "backslash": f"{folder}{name}{suffix}".replace("/", "\\"),
            "absolute": f"/data/in/{folder}{name}{suffix}",
        }[change]
        try:
            found = index.find(asked)
        except BadImage as error:
            found = error.reason
        assert found == f"{folder}{name}{suffix}" or "fit equally well" in found


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(("g", "r", "i", "z")), st.sampled_from(("FILTER", "BAND")), st.booleans(),
    st.sampled_from((np.float32, np.float64, ">f4", np.int16, np.int32, np.uint16, np.uint32)),
    st.sampled_from((0, 1, 2, "tiles")),
)  # fmt: skip
def test_the_kind_of_a_file_changes_no_pixel(band, keyword, in_primary, kind, axes) -> None:
    """Type and byte order, axes of length one, tiles: pixels, band and kind stay the same."""
    pixels = np.random.default_rng(2).integers(200, 900, (24, 20))
    header = fits.Header({keyword: band})
    stored = pixels.astype(kind)[(None,) * (0 if axes == "tiles" else axes)]
    make = fits.CompImageHDU if axes == "tiles" else fits.ImageHDU
    hdu = make(stored, header=None if in_primary else header, name="SCI")
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(header=header if in_primary else None), hdu]).writeto(stream)
    image = read_image(stream.getvalue())
    loss = 20.0 if axes == "tiles" and np.dtype(kind).kind == "f" else 0.0
    np.testing.assert_allclose(image.data[0], pixels, atol=loss)
    assert (image.band, image.linear, len(image.data)) == (band, True, 1)


def test_ids_that_have_lost_digits_are_refused_in_any_file(tmp_path: Path) -> None:
    for kind in ("parquet float", "fits float", "votable float"):
        with pytest.raises(BadCatalog, match=r"'objid'.*2\^53.*integers or text"):
            rows_of(write_ids(tmp_path / kind.split()[0], [2**60 + 1, 2**60 + 3], kind))
