from __future__ import annotations

import io
import json

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pictures

from galaxy_explorer.errors import BadImage, SurveyError
from galaxy_explorer.survey.catalog import CatalogRow
from galaxy_explorer.survey.fits_images import POGSON
from galaxy_explorer.survey.images import choose_planes, image_of, read_image, wavelength
from galaxy_explorer.survey.ingest import ingest_survey
from galaxy_explorer.survey.stamps import IngestOptions, make_stamp
from galaxy_explorer.survey.store import Survey

PLANE = np.random.default_rng(1).normal(30.0, 1.0, (48, 40)).astype(np.float32)
MASK = (np.arange(48 * 40).reshape(48, 40) % 7 == 0).astype(np.uint8)
NOT_PICTURES = {
    "MASK": MASK, "DQ": MASK.astype("i4"), "WHT": PLANE * 2, "ERR": PLANE * 3, "VAR_RNOISE": PLANE,
    "INVVAR": PLANE, "SEGMENTATION": MASK.astype("i2"), "EXP_MAP": PLANE, "MODEL": PLANE + 5,
}  # fmt: skip


def as_fits(*hdus) -> bytes:
    stream = io.BytesIO()
    fits.HDUList(list(hdus)).writeto(stream)
    return stream.getvalue()


def cube(names: str | list[str] = "", count: int = 3, **cards) -> bytes:
    planes = np.stack([PLANE + 100 * n for n in range(count)])
    header = fits.Header(cards)
    if names:
        header["BANDS"] = names if isinstance(names, str) else ",".join(names)
    return as_fits(fits.PrimaryHDU(planes, header))


def plane_of(data: bytes, band: str) -> list[int]:
    return choose_planes(read_image(data), band)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.sampled_from(sorted(NOT_PICTURES)), max_size=4, unique=True),
    st.integers(0, 4),
    st.sampled_from(["SCI", "IMAGE", "Science", ""]),
)
def test_the_picture_is_found_wherever_it_stands(others, place, name):
    hdus = [fits.ImageHDU(NOT_PICTURES[other], name=other) for other in others]
    hdus.insert(min(place, len(hdus)), fits.ImageHDU(PLANE, name=name))
    image = read_image(as_fits(fits.PrimaryHDU(), *hdus))
    np.testing.assert_array_equal(image.data[0], PLANE)
    assert image.words == f"HDU {1 + min(place, len(others))} {name.upper()}".strip()


def test_chips_and_unknown_names_are_refused_with_the_cure():
    for names in (("SCI", "SCI"), ("F606W", "F814W")):
        data = as_fits(fits.PrimaryHDU(), *(fits.ImageHDU(PLANE, name=name) for name in names))
        with pytest.raises(BadImage, match=f"HDU 1 {names[0]}, HDU 2 {names[1]}.*--hdu"):
            read_image(data)
        assert read_image(data, hdu=2).words == f"HDU 2 {names[1]}"
    whole = fits.PrimaryHDU(PLANE.astype("i4"))
    with pytest.raises(BadImage, match="--hdu"):
        read_image(as_fits(whole, fits.ImageHDU(PLANE)))


def test_a_name_of_any_kind_goes_before_none():
    for card in ("EXTTYPE", "HDUNAME"):
        mask, image = fits.ImageHDU(PLANE * 9), fits.ImageHDU(PLANE)
        mask.header[card], image.header[card] = "VARIANCE", "IMAGE"
        assert read_image(as_fits(fits.PrimaryHDU(), mask, image)).words == "HDU 2 IMAGE"
    other = fits.ImageHDU(PLANE * 9, name="F160W")
    with pytest.raises(BadImage, match=r"HDU 1, HDU 2 F160W\); choose by --hdu"):
        read_image(as_fits(fits.PrimaryHDU(), fits.ImageHDU(PLANE), other))
    assert read_image(as_fits(fits.PrimaryHDU(PLANE), other)).words == "HDU 0"
    for name in ("BITMASK", "FLATERR", "NOISE_MAP", "SNR", "WEIGHTMAP"):
        with pytest.raises(BadImage, match="only masks"):
            read_image(as_fits(fits.PrimaryHDU(), fits.ImageHDU(PLANE, name=name)))


def test_coordinates_are_inherited_where_that_is_asked_for():
    primary = fits.PrimaryHDU(header=wcs_header(-1, 0, 0, 1))
    for inherit, scale in ((True, 0.36), (False, None), (None, None)):
        cards = fits.Header() if inherit is None else fits.Header({"INHERIT": inherit})
        image = read_image(as_fits(primary, fits.ImageHDU(PLANE, cards, name="SCI")))
        assert image.pixel_scale_arcsec == (scale and pytest.approx(scale))


def test_planes_along_another_axis_are_no_colours():
    for axis in ("STOKES", "WAVE", "VRAD"):
        data = cube(CTYPE3=axis)
        with pytest.raises(BadImage, match=f"3 planes along {axis}, no bands; choose by --band 0"):
            plane_of(data, "r")
        assert plane_of(data, "2") == [2]


def test_names_in_cards_of_any_keyword():
    assert plane_of(cube(CHAN1="g", CHAN2="r", CHAN3="i"), "r") == [1]
    assert plane_of(cube(FILTER01="g", FILTER02="r", FILTER03="i"), "r") == [1]
    assert plane_of(cube("['g', 'r', 'z']"), "r") == plane_of(cube("g+r+z"), "r") == [1]
    assert plane_of(cube(NOTE1="a", NOTE2="b", NOTE3="c"), "r") == [0]  # no bands
    for cards, band in (
        ({"FILTER": "F150W2", "PUPIL": "F162M"}, "F162M"),
        ({"FILTER": "F277W", "PUPIL": "CLEAR"}, "F277W"),
    ):
        assert read_image(as_fits(fits.PrimaryHDU(PLANE, fits.Header(cards)))).band == band


@pytest.mark.parametrize("unit", ["mag/arcsec2", "ABmag", "log10(flux)", "dex(nJy)"])
def test_what_is_not_linear_in_flux_is_refused(unit):
    with pytest.raises(BadImage, match="not linear in flux"):
        read_image(as_fits(fits.PrimaryHDU(PLANE, fits.Header({"BUNIT": unit}))))
    data = as_fits(fits.PrimaryHDU(PLANE, fits.Header({"BUNIT": "nanomaggies"})))
    assert read_image(data).unit == "nanomaggies"


def test_an_empty_picture_names_the_other_hdus():
    first = fits.PrimaryHDU(np.zeros((48, 40), "f4"))
    data = as_fits(first, fits.ImageHDU(PLANE), fits.ImageHDU(PLANE, name="MODEL"))
    with pytest.raises(BadImage, match=r"HDU 0: every pixel.*HDU 1, HDU 2 MODEL; choose by --hdu"):
        read_image(data)
    np.testing.assert_array_equal(read_image(data, hdu=1).data[0], PLANE)


def test_a_mask_alone_is_not_a_galaxy():
    data = as_fits(fits.PrimaryHDU(), fits.ImageHDU(MASK, name="MASK"))
    with pytest.raises(BadImage, match="only masks"):
        read_image(data)
    assert read_image(data, hdu=1).words == "HDU 1 MASK"


def test_the_primary_header_says_what_the_extension_does_not():
    primary = fits.PrimaryHDU()
    primary.header["FILTER"] = "HSC-R"
    primary.header["BUNIT"] = "nJy"
    primary.header["CDELT2"] = 3.0
    image = read_image(as_fits(primary, fits.ImageHDU(PLANE, name="IMAGE")))
    assert (image.band, image.unit) == ("HSC-R", "nJy")
    assert "CDELT2" not in image.header
    assert image.chosen([0]).words == "HDU 1 IMAGE (nJy)"


@pytest.mark.parametrize("compression", ["RICE_1", "GZIP_1", "GZIP_2", "HCOMPRESS_1"])
def test_tile_compressed_pictures(compression):
    unit = fits.CompImageHDU(PLANE, compression_type=compression, quantize_level=-0.001, name="SCI")
    image = read_image(as_fits(fits.PrimaryHDU(), unit))
    np.testing.assert_allclose(image.data[0], PLANE, atol=0.01)
    assert image.words == "HDU 1 SCI"


def test_tiles_that_unpack_to_too_much_are_refused():
    unit = fits.CompImageHDU(np.zeros((64, 64), "i2"), compression_type="GZIP_1")
    data = as_fits(fits.PrimaryHDU(), unit)
    small = data.replace(b"ZNAXIS1 =                   64", b"ZNAXIS1 =                    4")
    small = small.replace(b"ZTILE1  =                   64", b"ZTILE1  =                    4")
    assert small != data
    with pytest.raises(BadImage, match="unpacks"):
        read_image(small)


@pytest.mark.parametrize("names", ["grz", "g,r,z", "g r z", ["SDSS g", "SDSS r", "SDSS z"]])
def test_bands_by_name(names):
    data = cube(names)
    assert plane_of(data, "r") == [1]
    assert plane_of(data, "z") == [2]
    assert plane_of(data, "rgb") == [2, 1, 0]  # red to blue
    assert plane_of(data, "0") == [0]
    assert plane_of(data, "z,g") == [2, 0]
    with pytest.raises(BadImage, match=r"no band 'y'.*planes.*--band"):
        plane_of(data, "y")


def test_bands_that_do_not_name_every_plane_are_not_guessed():
    for band in ("r", "rgb"):
        with pytest.raises(BadImage, match="BANDS = 'gr' does not name its 3 planes"):
            plane_of(cube("gr"), band)
    assert plane_of(cube("gr"), "2") == [2]


@pytest.mark.parametrize(
    ("name", "count"), [("SDSS r", 2), ("i2", 2), ("DECam r DR9", 3), ("vis", 3), ("r R", 2)]
)
def test_the_name_of_one_filter_is_not_cut_into_those_of_planes(name, count):
    data = cube(count=count, FILTER=name)
    assert read_image(data).bands == ()
    assert plane_of(data, "1") == [1]
    assert read_image(cube(count=2, FILTER="F606W F814W")).bands == ("F606W", "F814W")


@settings(deadline=None, max_examples=40)
@given(st.permutations(["u", "g", "r", "i", "z"]), st.sampled_from(["BANDS", "BAND", "FILTER"]))
def test_names_follow_the_planes_in_any_order(order, way):
    cards = {"BANDS": "".join(order)} if way == "BANDS" else {}
    first = 1 if way == "FILTER" else 0
    for n, name in enumerate(order if not cards else ()):
        cards[f"{way}{n + first}"] = name
    image = image_of(np.stack([PLANE] * 5), "a", linear=True, header=fits.Header(cards))
    for plane, name in enumerate(order):
        assert choose_planes(image, name) == [plane]
    with pytest.raises(BadImage, match=", ".join(order)):
        choose_planes(image, "rgb")


def test_without_names_planes_are_those_of_a_picture():
    assert [plane_of(cube(), band) for band in ("r", "g", "b", "rgb")] == [[0], [1], [2], [0, 1, 2]]
    with pytest.raises(BadImage, match=r"4 planes; choose by --band: 0 to 3"):
        plane_of(cube(count=4), "g")


def test_a_single_plane_of_another_band_is_refused():
    data = as_fits(fits.PrimaryHDU(PLANE, fits.Header({"FILTER": "F160W"})))
    assert plane_of(data, "g") == [0]  # what is taken where nothing is asked for
    assert plane_of(data, "f160w") == [0]
    for name in ("F160W", "F410M"):
        data = as_fits(fits.PrimaryHDU(PLANE, fits.Header({"FILTER": name})))
        with pytest.raises(BadImage, match="no band 'r'"):
            plane_of(data, "r")


def test_wavelengths_order_filters():
    names = ["F275W", "F435W", "F606W", "F850LP", "F105W", "F160W", "F200W", "F277W", "F444W"]
    waves = [wavelength(name) for name in names]
    assert waves == sorted(waves)
    assert wavelength("HSC-I2") == wavelength("i") == wavelength("i DECam SDSS c0003")
    assert wavelength("halpha") is None


@pytest.mark.parametrize(
    ("names", "telescope", "order"),
    [
        ("F300W,F450W,F606W", "HST", [2, 1, 0]),
        ("F300W,F450W,F606W", "", [2, 1, 0]),
        ("F410M,F606W,F160W", "HST", [2, 1, 0]),
        ("F410M,F606W,F160W", "JWST", [1, 0, 2]),
        ("F140LP,F300X,F125W", "HST", [2, 1, 0]),
        ("F300M,F444W,F150W2", "", [1, 0, 2]),
        ("F410M,F606W,F160W", "", "F410M depends on TELESCOP.*with commas, red first"),
        ("F170W,F606W,F160W", "", "F170W depends on TELESCOP"),
        ("Halpha,OIII,SII", "", [0, 1, 2]),
    ],
)
def test_filters_are_those_of_the_telescope(names, telescope, order):
    data = cube(names, **({"TELESCOP": telescope} if telescope else {}))
    if isinstance(order, list):
        assert plane_of(data, "rgb") == order
    else:
        with pytest.raises(BadImage, match=order):
            plane_of(data, "rgb")


def test_channels_last_are_read():
    planes = np.stack([PLANE + 100 * n for n in range(3)])
    image = read_image(as_fits(fits.PrimaryHDU(np.moveaxis(planes, 0, 2))))
    np.testing.assert_array_equal(image.data, planes)
    assert "channels last" in image.words


def test_thousands_of_history_cards():
    unit = fits.ImageHDU(PLANE, name="SCI")
    unit.header["CD1_1"], unit.header["CD2_2"] = -1e-5, 1e-5
    for n in range(7000):
        unit.header.add_history(f"drizzled {n}")
    image = read_image(as_fits(fits.PrimaryHDU(), unit))
    assert image.pixel_scale_arcsec == pytest.approx(0.036)


def test_asinh_scaled_pixels_are_undone():
    flux = PLANE * 40
    scaled = POGSON * np.arcsinh((flux - 1.5) / (2 * 25.0))
    header = fits.Header({"BSOFTEN": 25.0, "BOFFSET": 1.5})
    image = read_image(as_fits(fits.PrimaryHDU(scaled, header)))
    np.testing.assert_allclose(image.data[0], flux, rtol=1e-4)
    assert "BSOFTEN" in image.words


@pytest.mark.parametrize(("kind", "top"), [("u1", 255), ("u2", 65535)])
def test_stretched_whole_numbers_are_divided_by_their_range(kind, top):
    data = (np.arange(64 * 64).reshape(64, 64) % (top + 1)).astype(kind)
    image = read_image(as_fits(fits.PrimaryHDU(data)))
    row = CatalogRow(0, "a", "a", np.nan, np.nan, np.nan)
    stamp = make_stamp(image, row, IngestOptions(stretch="arcsinh"), cut=None)
    np.testing.assert_allclose(stamp.pixels[0], data[::-1] / top, rtol=1e-6)
    floats = read_image(as_fits(fits.PrimaryHDU(data.astype("f4"))))
    with pytest.raises(BadImage, match="go from 0 to about 1"):
        make_stamp(floats, row, IngestOptions(stretch="arcsinh"), cut=None)


def wcs_header(*matrix: float) -> fits.Header:
    cards = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CRVAL2": 5.0}
    names = ("CD1_1", "CD1_2", "CD2_1", "CD2_2")
    return fits.Header({**cards, **{n: 1e-4 * v for n, v in zip(names, matrix, strict=True)}})


TURNED = {  # CD matrices and what makes of rows from the bottom a picture with north up, east left
    (-1, 0, 0, 1): lambda a: a[::-1],
    (1, 0, 0, 1): lambda a: a[::-1, ::-1],
    (1, 0, 0, -1): lambda a: a[:, ::-1],
    (-1, 0, 0, -1): lambda a: a,
    (-0.9, 0.3, 0.3, 0.9): lambda a: a[::-1],
}


@pytest.mark.parametrize("matrix", TURNED)
def test_north_is_up_and_east_left(matrix):
    image = read_image(as_fits(fits.PrimaryHDU(PLANE, wcs_header(*matrix))))
    np.testing.assert_array_equal(image.data[0], PLANE)  # as stored, where the WCS holds
    np.testing.assert_array_equal(image.turned().data[0], TURNED[matrix](PLANE))


@pytest.mark.parametrize("older", [True, False])
def test_north_follows_the_matrix_that_the_scale_follows(older):
    header = wcs_header(1, 0, 0, -1)
    if older:
        for key in [key for key in header if key.startswith("CD")]:
            del header[key]
        header.update({"PC001001": 1.0, "PC002002": -1.0, "CDELT1": 1e-4, "CDELT2": 1e-4})
    else:
        header.update({"PC1_1": -1.0, "PC2_2": 1.0, "CDELT1": 1.0, "CDELT2": 1.0})
    image = read_image(as_fits(fits.PrimaryHDU(PLANE, header)))
    assert image.orientation == "north up by its WCS"
    np.testing.assert_array_equal(image.turned().data[0], TURNED[1, 0, 0, -1](PLANE))
    assert image.pixel_scale_arcsec == pytest.approx(0.36)


def test_north_is_up_where_the_declination_is_the_first_axis():
    header = wcs_header(0, 1, -1, 0)  # Dec along columns, RA against rows
    header.update({"CTYPE1": "DEC--TAN", "CTYPE2": "RA---TAN", "CRVAL1": 5.0, "CRVAL2": 10.0})
    header.update({"CD1_1": 1e-4, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": -1e-4})
    image = read_image(as_fits(fits.PrimaryHDU(PLANE, header)))
    np.testing.assert_array_equal(image.turned().data[0], PLANE.T[::-1])


@settings(deadline=None, max_examples=50)
@given(st.floats(0, 359), st.booleans())
def test_north_is_within_45_degrees_of_up(angle, mirrored):
    a = np.radians(angle)
    matrix = np.array([[-np.cos(a), np.sin(a)], [np.sin(a), np.cos(a)]])
    if mirrored:
        matrix[:, 0] *= -1
    header = wcs_header(*matrix.ravel())
    x, y = np.meshgrid(np.arange(40.0), np.arange(40.0))
    ra, dec = (matrix[i, 0] * x + matrix[i, 1] * y for i in (0, 1))
    dec_turned, ra_turned = (
        image_of(v[None], "a", linear=True, header=header).turned().data[0] for v in (dec, ra)
    )
    up, left = dec_turned[0].mean() - dec_turned[-1].mean(), (
        ra_turned[:, 0].mean() - ra_turned[:, -1].mean()
    )  # fmt: skip
    assert min(up, left) >= 39 * np.cos(np.radians(45.1))


def test_fits_without_coordinates_has_its_first_row_at_the_bottom():
    image = read_image(as_fits(fits.PrimaryHDU(PLANE)))
    np.testing.assert_array_equal(image.turned().data[0], PLANE[::-1])


def ingested(folder, out, **options):
    (folder.parent / "c.csv").write_text("id\na\n")
    return ingest_survey(folder, folder.parent / "c.csv", out, IngestOptions(size=20, **options))


def test_a_survey_says_what_was_read_and_how_rows_lie(tmp_path):
    (tmp_path / "in").mkdir()
    data = cube("grz", BUNIT="nanomaggy")
    (tmp_path / "in" / "a.fits").write_bytes(data)
    survey = ingested(tmp_path / "in", tmp_path / "s", band="rgb").survey
    assert survey.meta["band"] == "z, r, g"
    assert survey.meta["orientation"].startswith("row 0 on top")
    assert survey.column("valid_share").tolist() == [1.0]
    words = "HDU 0, plane z, r, g of g, r, z (nanomaggy); linear flux; FITS rows upwards, "
    words += "north unknown; scale unknown"
    assert survey.column("taken").tolist() == [words]
    assert survey.taken_words[0] == f"Read {words}: 1 pictures"
    skies = survey.column("sky_0")[0] - survey.column("sky_1")[0]
    assert skies == pytest.approx(100 * (40 / 20) ** 2, rel=0.05)
    edge = survey.model_input()[0][:, :2]
    np.testing.assert_allclose(np.median(edge, axis=(1, 2)), 0.02, atol=0.05)


def test_a_fits_and_its_picture_lie_alike(tmp_path):
    grey = np.zeros((40, 40), np.uint8)
    grey[:12, :14] = 200
    grey += np.arange(1600, dtype=np.uint8).reshape(40, 40) % 40
    for name in ("fits", "png"):
        (tmp_path / name).mkdir()
    Pictures.fromarray(grey).save(tmp_path / "png" / "a.png")
    fits.writeto(tmp_path / "fits" / "a.fits", grey[::-1], wcs_header(-1, 0, 0, 1))
    stamps = [
        ingested(tmp_path / name, tmp_path / f"s{name}", stretch="arcsinh").survey.stamps()
        for name in ("fits", "png")
    ]
    np.testing.assert_allclose(*stamps, atol=1e-6)


def test_surveys_of_two_orientations_are_not_mixed(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.fits").write_bytes(as_fits(fits.PrimaryHDU(PLANE)))
    survey = ingested(tmp_path / "in", tmp_path / "s").survey
    meta = {k: v for k, v in survey.meta.items() if k != "orientation"}
    (tmp_path / "s" / "survey.json").write_text(json.dumps(meta))
    assert "as stored" in Survey.open(tmp_path / "s").taken_words[-1]
    with pytest.raises(SurveyError, match="orientation"):
        ingested(tmp_path / "in", tmp_path / "s", append=True, source_name="b")
