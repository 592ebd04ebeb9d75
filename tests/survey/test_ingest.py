from __future__ import annotations

import csv
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from PIL import Image as Pictures

from galaxy_explorer.errors import BadCatalog, SettingError, SurveyError
from galaxy_explorer.survey.ingest import ingest_survey
from galaxy_explorer.survey.preprocessing import fit_stamp, sky_level, split_of
from galaxy_explorer.survey.stamps import IngestOptions

COUNT = 40
GENERATOR = np.random.default_rng(11)
COLOUR = GENERATOR.integers(0, 256, (COUNT, 32, 32, 3), dtype=np.uint8)
FLUX = GENERATOR.normal(100.0, 3.0, (COUNT, 32, 32)).astype(np.float32)
NAMES = [f"N{i}" for i in range(COUNT)]


def write_csv(path: Path, columns: dict[str, list]) -> Path:
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def rejects(folder: Path) -> list[dict[str, str]]:
    with (folder / "rejects.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def run(source: Path, catalog: Path, out: Path, **options):
    options = {"size": 16, **options}
    return ingest_survey(source, catalog, out, IngestOptions(**options))


@pytest.fixture
def folder(tmp_path) -> Path:
    pictures = tmp_path / "pictures"
    (pictures / "sub").mkdir(parents=True)
    for name, pixels in zip(NAMES, COLOUR, strict=True):
        Pictures.fromarray(pixels).save(pictures / "sub" / f"{name}.png")
    return pictures


def test_folder_of_colour_pictures(folder, tmp_path):
    catalog = write_csv(
        tmp_path / "c.csv",
        {
            "name": NAMES,
            "ra": [""] + [float(i) for i in range(1, COUNT)],
            "dec": [-5.0] * COUNT,
            "ttype": ["x"] * COUNT,
            "ttype_best": ["", -5.0, 99.0] + [3.0] * (COUNT - 3),
            "split": ["mine"] * COUNT,
            "file": [f"sub/{name}.png" for name in NAMES],
        },
    )
    report = run(folder, catalog, tmp_path / "s", columns={"ttype": "ttype_best"}, band_name="r")
    survey = report.survey
    assert (report.accepted, report.rejected, report.unused_pictures) == (COUNT, 0, 0)
    green = COLOUR[..., 1].reshape(COUNT, 1, 16, 2, 16, 2).astype(np.float64) / 255
    np.testing.assert_allclose(survey.stamps(), green.mean((3, 5)), atol=1e-7)
    np.testing.assert_array_equal(survey.model_input(), survey.stamps())
    assert survey.column("galaxy_id").tolist() == NAMES
    assert np.isnan(survey.column("ra")[0])
    assert np.isnan(survey.column("dec")[0])
    assert survey.column("ra")[1] == 1.0
    assert survey.column("ttype_class")[:4].tolist() == [-1, 0, -1, 6]
    assert survey.column("split").tolist() == [split_of(name) for name in NAMES]
    assert set(survey.column("split_catalog")) == {"mine"}
    assert set(survey.column("ttype_catalog")) == {"x"}
    assert np.isnan(survey.column("sky")).all()
    assert survey.meta["stretch"]["state"] == "arcsinh"
    assert survey.meta["band"] == "r"


def test_every_channel(folder, tmp_path):
    catalog = write_csv(tmp_path / "c.csv", {"id": [f"sub/{n}" for n in NAMES]})
    both = run(folder, catalog, tmp_path / "rgb", band="rgb", size=32).survey.stamps()
    np.testing.assert_allclose(both, np.moveaxis(COLOUR, 3, 1) / 255, atol=1e-7)
    red = run(folder, catalog, tmp_path / "r", band="r", size=32).survey.stamps()
    np.testing.assert_array_equal(red, both[:, :1])
    blue = run(folder, catalog, tmp_path / "b", band="2", size=32).survey.stamps()
    np.testing.assert_array_equal(blue, both[:, 2:])


def test_each_unusable_row_is_a_reject_with_its_reason(folder, tmp_path):
    (folder / "sub" / "N3.png").write_bytes(b"no picture")
    (folder / "sub" / "N4.png").unlink()
    (folder / "sub" / "unlisted.jpg").write_bytes(b"x")
    files = [f"sub/{name}.png" for name in NAMES]
    files[5] = "../secret.png"
    files[6] = "/etc/passwd"
    (tmp_path / "secret.png").write_bytes((folder / "sub" / "N0.png").read_bytes())
    (folder / "sub" / "N7.png").unlink()
    (folder / "sub" / "N7.png").symlink_to(tmp_path / "absent.png")
    files[8] = "x" * 400
    ids = [*NAMES[:10], "N1", "", *NAMES[12:14], "bad\tname", *NAMES[15:]]
    catalog = write_csv(tmp_path / "c.csv", {"id": ids, "image": files})
    report = run(folder, catalog, tmp_path / "s")
    found = {int(r["row"]): r["reason"] for r in rejects(tmp_path / "s")}
    reasons = {
        3: "neither FITS, PNG nor JPEG",
        4: "no such file",
        5: "outside the folder",
        6: "outside the folder",
        7: "no such file",
        8: "no file name",
        10: "already",
        11: "no id",
        14: "unprintable",
    }
    assert found.keys() == reasons.keys()
    for row, reason in reasons.items():
        assert reason in found[row]
    assert report.accepted + report.rejected == report.catalog_rows == COUNT
    assert report.accepted == len(report.survey) == COUNT - len(reasons)
    # unlisted.jpg, and N5, N6, N8 whose rows name other files
    assert report.unused_pictures == report.survey.meta["sources"][0]["unused_pictures"] == 4


@pytest.mark.parametrize("kind", ["npy", "npz", "h5"])
def test_linear_cube_keeps_flux_and_sky(tmp_path, kind):
    source = tmp_path / f"cube.{kind}"
    order = np.arange(COUNT)
    if kind == "npy":
        np.save(source, FLUX)
    else:
        order = GENERATOR.permutation(COUNT)
        ids = np.array(NAMES)[order]
        if kind == "npz":
            np.savez_compressed(source, images=FLUX[order], id=ids)
        else:
            with h5py.File(source, "w") as file:
                file["stamps"] = FLUX[order]
                file["id"] = ids.astype("S")
    catalog = write_csv(tmp_path / "c.csv", {"id": NAMES, "mag": list(range(COUNT))})
    survey = run(source, catalog, tmp_path / "s", pixel_scale_arcsec=0.2).survey
    np.testing.assert_allclose(survey.stamps().sum((1, 2, 3)), FLUX.sum((1, 2)), rtol=1e-6)
    np.testing.assert_array_equal(survey.stamps()[7], fit_stamp(FLUX[7:8], 16, linear=True))
    sky, sigma = sky_level(FLUX[7])
    assert survey.column("sky")[7] == pytest.approx(4 * sky)
    assert survey.column("sky_sigma")[7] == pytest.approx(4 * sigma)
    assert survey.meta["pixel_scale_arcsec"] == pytest.approx(0.4)
    assert survey.meta["stretch"]["state"] == "linear"
    assert survey.model_input().mean() == pytest.approx(survey.stretch.pedestal, abs=0.02)


def test_cube_and_catalogue_that_do_not_match(tmp_path):
    np.save(tmp_path / "c.npy", FLUX)
    catalog = write_csv(tmp_path / "c.csv", {"id": NAMES[:-1]})
    with pytest.raises(SurveyError, match=r"40 stamps for 39 catalogue rows"):
        run(tmp_path / "c.npy", catalog, tmp_path / "s")
    np.savez(tmp_path / "c.npz", images=FLUX, id=NAMES)
    catalog = write_csv(tmp_path / "c.csv", {"id": [*NAMES[3:], "elsewhere"]})
    report = run(tmp_path / "c.npz", catalog, tmp_path / "s")
    assert (report.accepted, report.rejected, report.unused_pictures) == (37, 1, 3)


def test_mosaic_is_cut_at_the_positions(tmp_path):
    sky = np.random.default_rng(5).normal(0.0, 1.0, (400, 500)).astype(np.float32)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = [53.1, -27.8], [250.5, 200.5]
    wcs.wcs.cdelt = [-0.06 / 3600, 0.06 / 3600]
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(sky, wcs.to_header(), name="SCI")]
    fits.HDUList(hdus).writeto(tmp_path / "mosaic.fits")
    where = np.array([[100, 100], [350, 299], [31.5, 40.5], [3, 200], [9000, 9000]])
    ra, dec = wcs.all_pix2world(where[:, 0], where[:, 1], 0)
    table = Table(
        {"NUMBER": np.arange(6), "ALPHA_J2000": [*ra, np.nan], "DELTA_J2000": [*dec, 0.0]}
    )
    table.write(tmp_path / "cat.fits")
    report = run(
        tmp_path / "mosaic.fits",
        tmp_path / "cat.fits",
        tmp_path / "s",
        columns={"galaxy_id": "NUMBER"},
        size=33,
    )
    stamps = report.survey.stamps()
    assert (report.accepted, report.rejected) == (3, 3)
    np.testing.assert_array_equal(stamps[0, 0], sky[84:117, 84:117][::-1])
    np.testing.assert_array_equal(stamps[1, 0], sky[283:316, 334:367][::-1])
    reasons = [row["reason"] for row in rejects(tmp_path / "s")]
    assert "not wholly within" in reasons[0]
    assert "not wholly within" in reasons[1]
    assert "no position" in reasons[2]
    assert report.survey.meta["pixel_scale_arcsec"] == pytest.approx(0.06, rel=1e-6)
    shrunk = run(
        tmp_path / "mosaic.fits",
        tmp_path / "cat.fits",
        tmp_path / "t",
        columns={"galaxy_id": "NUMBER"},
        size=16,
        cutout_arcsec=1.92,
    )
    assert shrunk.survey.meta["pixel_scale_arcsec"] == pytest.approx(0.12, rel=1e-6)


def test_cutout_in_arcsec_needs_a_scale(tmp_path):
    np.save(tmp_path / "c.npy", FLUX)
    scales = [0.5] * 38 + ["", 0.1]
    catalog = write_csv(tmp_path / "c.csv", {"id": NAMES, "pixscale_arcsec": scales})
    report = run(tmp_path / "c.npy", catalog, tmp_path / "s", cutout_arcsec=8.0)
    np.testing.assert_array_equal(report.survey.stamps()[:, 0], FLUX[:38, 8:24, 8:24])
    assert "pixel scale unknown" in rejects(tmp_path / "s")[0]["reason"]
    assert "smaller than" in rejects(tmp_path / "s")[1]["reason"]
    assert set(report.survey.column("stamp_pixel_scale_arcsec")) == {0.5}


def test_the_scale_of_a_header_cuts_in_arcsec_and_is_not_contradicted(tmp_path):
    place = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 9.0, "CRVAL2": 1.0}
    step = 0.5 / 3600
    ways = (
        {"PC1_1": -step, "PC2_2": step, "CDELT1": 1.0, "CDELT2": 1.0},
        {"CDELT1": -0.5, "CDELT2": 0.5, "CUNIT1": "arcsec", "CUNIT2": "arcsec"},
        {"CD1_1": -step, "CD2_2": 2 * step},
    )
    (tmp_path / "in").mkdir()
    for number, way in enumerate(ways):
        header = fits.Header({**place, **way})
        fits.PrimaryHDU(FLUX[number], header).writeto(tmp_path / "in" / f"{number}.fits")
    catalog = write_csv(tmp_path / "c.csv", {"id": ["0", "1", "2"]})
    survey = run(tmp_path / "in", catalog, tmp_path / "s", cutout_arcsec=8.0).survey
    np.testing.assert_allclose(survey.column("stamp_pixel_scale_arcsec")[:2], 0.5, rtol=1e-9)
    assert any("not square: 0.5 x 1 arcsec" in words for words in survey.taken_words)
    run(tmp_path / "in", catalog, tmp_path / "t", pixel_scale_arcsec=0.505)
    with pytest.raises(SurveyError, match=r"says 0\.7071 arcsec/px, --pixel-scale 0\.6"):
        run(tmp_path / "in", catalog, tmp_path / "u", pixel_scale_arcsec=0.6)


def test_append_joins_two_sources(folder, tmp_path):
    catalog = write_csv(tmp_path / "c.csv", {"id": NAMES, "image": [f"sub/{n}.png" for n in NAMES]})
    first = run(folder, catalog, tmp_path / "s", band_name="r").survey.meta["fingerprint"]
    np.savez(tmp_path / "c.npz", images=COLOUR[..., 0], objid=np.arange(COUNT))
    other = write_csv(tmp_path / "o.csv", {"objid": [*range(COUNT - 1), "N3"]})
    report = run(tmp_path / "c.npz", other, tmp_path / "s", append=True, source_name="cube")
    assert len(report.survey) == 2 * COUNT - 1
    assert report.survey.meta["fingerprint"] != first
    assert "no stamp of this id" in rejects(tmp_path / "s")[0]["reason"]
    third = write_csv(tmp_path / "t.csv", {"objid": NAMES})
    np.save(tmp_path / "t.npy", COLOUR[..., 0])
    with pytest.raises(SurveyError, match="already"):
        run(tmp_path / "c.npz", other, tmp_path / "s", append=True, source_name="cube")
    report = run(tmp_path / "t.npy", third, tmp_path / "s", append=True, source_name="again")
    assert (report.accepted, report.rejected) == (0, COUNT)


def test_wrong_requests_are_named(folder, tmp_path):
    catalog = write_csv(tmp_path / "c.csv", {"id": NAMES, "ra": ["12h"] * COUNT})
    with pytest.raises(BadCatalog, match="there are id, ra"):
        run(folder, catalog, tmp_path / "s", columns={"ttype": "T"})
    with pytest.raises(BadCatalog, match="column 'ra', row 1: '12h' is no number"):
        run(folder, catalog, tmp_path / "s", columns={"ra": "ra"})
    good = write_csv(tmp_path / "g.csv", {"id": [f"{name}-absent" for name in NAMES]})
    with pytest.raises(SurveyError, match="no catalogue row has a usable picture"):
        run(folder, good, tmp_path / "s")
    with pytest.raises(SurveyError, match="no such file or folder"):
        run(tmp_path / "absent", good, tmp_path / "s")
    for options in ({"band": ""}, {"size": 4}, {"cutout_arcsec": -1.0}):
        with pytest.raises(SettingError):
            IngestOptions(**options)
    assert [entry.name for entry in tmp_path.iterdir() if "partial" in entry.name] == []


def test_real_galaxies(shared_data, tmp_path):
    """The first of the NGC/IC pictures, as the documentation shows it."""
    source = shared_data / "sdss_ngc"
    lines = (source / "catalog.csv").read_text().splitlines()[:31]
    (tmp_path / "catalog.csv").write_text("\n".join(lines) + "\n")
    report = run(
        source,
        tmp_path / "catalog.csv",
        tmp_path / "s",
        size=64,
        columns={"galaxy_id": "name", "image": "image", "ttype": "ttype_best"},
        band_name="r",
    )
    assert (report.accepted, report.rejected) == (30, 0)
    stamps = report.survey.stamps()[:, 0]
    first = np.asarray(Pictures.open(source / "images" / "IC0495.jpg"))[..., 1] / 255.0
    blocks = first.astype(np.float32).astype(np.float64).reshape(64, 4, 64, 4)
    expected = blocks.mean(axis=(1, 3)).astype(np.float32)
    np.testing.assert_array_equal(stamps[0], expected)
    assert np.median(stamps[:, 28:36, 28:36]) > 5 * np.median(stamps[:, :5])  # galaxies, centred
    scale = report.survey.column("stamp_pixel_scale_arcsec")
    np.testing.assert_allclose(scale, 4 * report.survey.column("pixscale_arcsec"))
