"""A check says what an ingest would take and writes nothing; the sheet shows the stamps."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import Table
from PIL import Image
from typer.testing import CliRunner

from galaxy_explorer import cli
from galaxy_explorer.errors import BadCatalog, SurveyError
from galaxy_explorer.survey import check as module
from galaxy_explorer.survey.check import check_source
from galaxy_explorer.survey.folders import list_pictures
from galaxy_explorer.survey.ingest import ingest_survey
from galaxy_explorer.survey.inventory import Reasons
from galaxy_explorer.survey.scales import stated_scale
from galaxy_explorer.survey.stamps import IngestOptions, check_fits
from tests.small_survey import blobs

WCS = {
    "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 150.0, "CRVAL2": 2.0, "CRPIX1": 16.5,
    "CRPIX2": 16.5, "CD1_1": -0.5 / 3600, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 0.5 / 3600,
}  # fmt: skip


def options(**given) -> IngestOptions:
    columns = {key: given.pop(key) for key in ("galaxy_id", "ttype") if key in given}
    return IngestOptions(size=32, columns=columns, **given)


def png(seed: int, size: int = 32) -> bytes:
    stamp = blobs(np.array([0.0]), np.random.default_rng(seed), size)[0, 0]
    stream = io.BytesIO()
    Image.fromarray((255 * stamp.clip(0, 1)).astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def linear(seed: int, **cards) -> fits.PrimaryHDU:
    light = blobs(np.array([0.0]), np.random.default_rng(seed), 32)[0, 0] * 100
    return fits.PrimaryHDU(light.astype(np.float32), fits.Header(cards))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder of 6 pictures, one of them unnamed, and a catalogue of 7 rows with four faults."""
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(5):
        (folder / f"g{i}.png").write_bytes(png(i))
    (folder / "g5.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    (folder / "readme.txt").write_text("x")
    rows = ("g0,3,150,2", "g1,-999,151,2", "g2,,152,2", "g5,1,153,2", "h7,2,154,2", "g0,4,155,2")
    (tmp_path / "c.csv").write_text("name,T,ra,dec\n" + "\n".join((*rows, ",5,1,1")) + "\n")
    return tmp_path


def files(folder: Path) -> dict[Path, float]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_a_check_tells_what_an_ingest_takes_and_writes_nothing(place: Path) -> None:
    before = files(place)
    found = check_source(place / "in", place / "c.csv", options())
    assert files(place) == before
    report = ingest_survey(place / "in", place / "c.csv", place / "s", options())
    took = report.inventory
    assert found.usable == took.usable == report.accepted == 3
    assert found.taken == took.taken
    assert found.unused == took.unused == report.unused_pictures == 2
    assert found.absent.count + found.refused.count == report.rejected == took.refused.count == 4
    assert found.outcome == took.outcome == "3 of 7 rows"
    assert found.catalog == took.catalog
    said, done = (list(one.lines()) for one in (found, took))
    assert said[-1].startswith("Would take")
    assert done[-1].startswith("Taken")
    assert said[-1].removeprefix("Would take").strip() == done[-1].removeprefix("Taken").strip()


def test_the_account_names_columns_units_stages_and_reasons(place: Path) -> None:
    text = "\n".join(check_source(place / "in", place / "c.csv", options()).lines())
    for words in (
        "folder: 6 pictures (6 .png)",
        "left out: 1 x .txt (readme.txt)",
        "name (by its usual name)",
        "no unit in the file, degrees believed; 1 to 155 deg",
        "5 known, 1 to 5; 2 unknown (1 x -999 outside -6..11 or without a stage, 1 empty)",
        "8-bit arcsinh-stretched; rows as drawn; scale unknown",
        "1 x no such file in the folder; the nearest is g5.png (h7)",
        "1 x an earlier row has the same id (g0)",
        "1 x the row has no id (row 7)",
        "1 x damaged picture (cannot identify image file) (g5.png)",
        "32 x 32 px; the largest central square (32 px) on 32 x 32 px",
    ):
        assert words in text, words


def test_an_interrupted_ingest_gives_the_account_of_all_rows(place: Path, monkeypatch) -> None:
    whole = ingest_survey(place / "in", place / "c.csv", place / "s", options())
    monkeypatch.setattr("galaxy_explorer.survey.ingest.BLOCK_ROWS", 2)
    calls = []

    def interrupted(*_):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return check_fits(*_)

    with monkeypatch.context() as patch:
        patch.setattr("galaxy_explorer.survey.stamp_work.check_fits", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ingest_survey(place / "in", place / "c.csv", place / "t", options())
    calls.clear()
    again = ingest_survey(place / "in", place / "c.csv", place / "t", options())
    assert list(again.inventory.lines()) == list(whole.inventory.lines())


def test_a_sample_is_examined_and_every_row_is_looked_up(place: Path, monkeypatch) -> None:
    (place / "g.csv").write_text("name\n" + "\n".join(f"g{i}" for i in range(5)) + "\nnone\n")
    monkeypatch.setattr(module, "EXAMINED", 3)
    monkeypatch.setattr(module, "ALWAYS", 1)
    some = check_source(place / "in", place / "g.csv", options())
    assert (some.examined, some.usable, some.absent.count) == (3, 3, 1)
    assert "examined: 3 of 5; --all examines every one" in "\n".join(some.lines())
    assert some.outcome == "up to 5 of 6 rows; of 3 examined 3 can be used"
    every = check_source(place / "in", place / "g.csv", options(), every=True)
    assert (every.examined, every.all_examined) == (5, True)
    assert "examined: all 5" in "\n".join(every.lines())


def test_the_hdu_plane_unit_scale_and_orientation_are_said(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    cube = np.stack([linear(i).data for i in range(3)])
    science = fits.ImageHDU(cube, fits.Header({**WCS, "BANDS": "grz", "BUNIT": "nJy"}), name="SCI")
    mask = fits.ImageHDU(np.zeros((32, 32), np.uint8), name="MASK")
    fits.HDUList([fits.PrimaryHDU(), mask, science]).writeto(tmp_path / "in" / "a.fits")
    found = check_source(tmp_path / "in", None, options(band="r"))
    assert list(found.taken) == [
        "HDU 2 SCI, plane r of g, r, z (nJy); not HDU 1 MASK; linear flux; north up by its WCS;"
        " scale by WCS"
    ]
    assert found.scales == [pytest.approx(0.5)]
    assert found.doubts() == []
    assert ", band r, linear stamps" in found.stamps


@pytest.mark.parametrize(
    ("cards", "given", "doubt"),
    [
        ({}, {}, "no WCS: which way north"),
        ({}, {}, "pixel scale of 1 pictures is not stated"),
        ({"PIXSCALE": 0.4}, {}, ""),
        (WCS, {}, ""),
    ],
)
def test_what_a_header_leaves_open_is_put_to_be_looked_at(tmp_path, cards, given, doubt) -> None:
    linear(1, **cards).writeto(tmp_path / "a.fits")
    doubts = check_source(tmp_path / "a.fits", None, options(**given)).doubts()
    if doubt:
        assert any(doubt in words for words in doubts)
    else:
        assert not any("pixel scale" in words for words in doubts)


def test_scaled_and_whole_numbers_taken_for_flux_are_doubted(tmp_path: Path) -> None:
    light = linear(1).data
    scaled = (light - light.min()) / np.ptp(light)
    eight = (255 * scaled).astype(np.uint8)
    for data, words in ((scaled, "go from 0 to 1 at most"), (eight, "FITS of whole numbers")):
        fits.writeto(tmp_path / "a.fits", data, overwrite=True)
        assert any(words in d for d in check_source(tmp_path / "a.fits", None, options()).doubts())
        told = check_source(tmp_path / "a.fits", None, options(stretch="arcsinh")).doubts()
        assert not any(words in doubt for doubt in told)
    fits.writeto(tmp_path / "a.fits", light, overwrite=True)
    assert not any(
        "at most" in d for d in check_source(tmp_path / "a.fits", None, options()).doubts()
    )


def test_a_negative_is_doubted(tmp_path: Path) -> None:
    light = linear(1).data
    for data, doubted in ((light, False), (light.max() - light, True)):
        fits.writeto(tmp_path / "a.fits", data, overwrite=True)
        doubts = check_source(tmp_path / "a.fits", None, options()).doubts()
        assert any("are they negatives?" in doubt for doubt in doubts) is doubted


def test_a_segmentation_map_is_doubted(tmp_path: Path) -> None:
    """And neither a picture of a few photons nor a faint one of a few greys is."""
    y, x = np.mgrid[-40:40, -40:40]
    labels = np.select([np.hypot(x, y) < 15, np.hypot(x - 25, y - 20) < 6], [1, 2], 0)
    photons = np.random.default_rng(1).poisson(3 * np.exp(-np.hypot(x, y) / 8) + 0.05)
    greys = np.rint(12 * np.exp(-np.hypot(x, y) / 12))
    kinds = ((labels, True), (labels == 1, True), (photons, False), (greys, False))
    for data, doubted in kinds:
        fits.writeto(tmp_path / "a.fits", data.astype(np.int32), overwrite=True)
        doubts = check_source(tmp_path / "a.fits", None, options()).doubts()
        assert any("are they masks or segmentation maps?" in doubt for doubt in doubts) is doubted


def test_half_a_position_is_of_no_use_and_said(tmp_path: Path, place: Path) -> None:
    rows = "\n".join(f"g{i},{150 + i}" for i in range(5))
    (tmp_path / "half.csv").write_text(f"name,ra\n{rows}\n")
    found = check_source(place / "in", tmp_path / "half.csv", options())
    words = {use.role: use.words for use in found.catalog.uses}
    assert words["RA"] == "of no use alone; --dec names the column that goes with it"


def test_a_table_of_pictures_alone_says_what_it_holds(tmp_path: Path) -> None:
    light = linear(1).data
    column = fits.Column("IMAGE", "1024E", dim="(32,32)", array=light.reshape(1, -1))
    fits.BinTableHDU.from_columns([column]).writeto(tmp_path / "a.fits")
    with pytest.raises(BadCatalog, match="nothing to read; column 'IMAGE' is 32 x 32 values"):
        check_source(tmp_path / "a.fits", None, options())


def test_positions_that_look_like_hours_or_radians_are_doubted(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    steps = np.linspace(0, 1, 40)
    names = [f"g{i}" for i in range(40)]
    asked = {"radians": (6.2, 1.5), "hours": (23.9, 80.0), "": (359.0, 80.0)}
    for word, (most, high) in asked.items():
        table = Table({"name": names, "ra": steps * most, "dec": (2 * steps - 1) * high})
        table.write(tmp_path / "c.csv", overwrite=True)
        doubts = check_source(tmp_path / "c.csv", None, options()).doubts()
        assert [word in doubt for doubt in doubts] == ([True] if word else []), word
    table["ra"].unit = table["dec"].unit = "deg"
    table["ra"] *= 24 / 360
    table.write(tmp_path / "c.ecsv")
    found = check_source(tmp_path / "c.ecsv", None, options())
    assert found.doubts() == []  # the file says that they are degrees
    assert "ra (by its usual name): deg;" in "\n".join(found.lines())


def test_shares_and_flags_are_no_stages(tmp_path: Path) -> None:
    shares = "".join(f"g{i},{i / 40}\n" for i in range(40))
    (tmp_path / "c.csv").write_text("name,p\n" + shares)
    doubts = check_source(tmp_path / "c.csv", None, options(ttype="p")).doubts()
    assert any("shares of votes are no stage T" in doubt for doubt in doubts)
    flags = "".join(f"g{i},{1 if i < 5 else 1000 + i}\n" for i in range(40))
    (tmp_path / "c.csv").write_text("name,p\n" + flags)
    doubts = check_source(tmp_path / "c.csv", None, options(ttype="p")).doubts()
    assert any("most values of p are no stage T" in doubt for doubt in doubts)


def test_every_kind_of_source_can_be_looked_at_alone(place: Path) -> None:
    images = np.stack([linear(i).data for i in range(4)])
    names = np.array([f"g{i}" for i in range(4)])
    np.savez(place / "ids.npz", images=images, galaxy_id=names)
    np.save(place / "bare.npy", images)
    with zipfile.ZipFile(place / "in.zip", "w") as archive:
        archive.write(place / "in" / "g0.png", "g0.png")
    structs = [{"bytes": png(i), "path": f"{i}"} for i in range(3)]
    pq.write_table(pa.table({"name": ["a", "b", "c"], "image": structs}), place / "set.parquet")
    names_as_bytes = pa.array([b"a", b"b"], pa.binary())
    pq.write_table(pa.table({"name": names_as_bytes, "T": [1, 2]}), place / "bare.parquet")
    (place / "not.parquet").write_bytes(b"PAR1 is not all of it")
    assert check_source(place / "bare.parquet", None, options()).catalog.types.known == 2
    pictures = pa.array([png(1), png(2)], pa.binary())
    beside = pa.table({"name": names_as_bytes, "seen": pictures})
    pq.write_table(beside, place / "both.parquet")
    assert check_source(place / "both.parquet", None, options()).usable == 2
    with pytest.raises(BadCatalog, match="cannot be read as a table"):
        check_source(place / "not.parquet", None, options())
    found = {
        name: check_source(place / name, None, options())
        for name in ("ids.npz", "bare.npy", "in.zip", "set.parquet", "in", "in/g0.png", "c.csv")
    }
    counts = {name: (one.examined, one.usable) for name, one in found.items()}
    assert counts == {
        "ids.npz": (4, 4), "bare.npy": (4, 4), "in.zip": (1, 1), "set.parquet": (3, 3),
        "in": (6, 5), "in/g0.png": (1, 1), "c.csv": (0, 0),
    }  # fmt: skip
    assert all(one.anything for one in found.values())
    assert "pictures in the column image" in found["set.parquet"].kind
    assert found["c.csv"].catalog.rows == 7
    assert "4 stamps of 32 x 32 px" in found["ids.npz"].kind
    assert any("nothing in the cube says otherwise" in d for d in found["bare.npy"].doubts())
    (place / "empty").mkdir()
    assert not check_source(place / "empty", None, options()).anything
    with pytest.raises(SurveyError, match="no such file or folder"):
        check_source(place / "absent", None, options())


def test_a_fits_file_is_a_picture_a_mosaic_or_a_table_by_what_is_in_it(tmp_path: Path) -> None:
    linear(1).writeto(tmp_path / "picture.fits")
    rng = np.random.default_rng(0)
    chips = [fits.ImageHDU(rng.normal(size=(40, 40)).astype("f4"), fits.Header(WCS), name="SCI")]
    chips.append(
        fits.ImageHDU(rng.normal(size=(40, 40)).astype("f4"), fits.Header(WCS), name="SCI")
    )
    fits.HDUList([fits.PrimaryHDU(), *chips]).writeto(tmp_path / "mosaic.fits")
    Table({"name": ["a", "b"], "T": [1, 2]}).write(tmp_path / "table.fits")
    kinds = {
        name: check_source(tmp_path / f"{name}.fits", None, options())
        for name in ("picture", "mosaic", "table")
    }
    assert kinds["picture"].kind == "one picture"
    assert kinds["mosaic"].kind.startswith("mosaic of 2 chips")
    assert kinds["mosaic"].anything
    assert kinds["table"].kind == "table without pictures"
    assert kinds["table"].catalog.types.known == 2


def test_a_picture_of_another_kind_is_no_table(tmp_path: Path) -> None:
    picture, table = tmp_path / "one.gif", tmp_path / "two.csv"
    Image.new("L", (64, 64), 9).save(picture)
    table.write_text("BMag,id\n17.2,a\n")  # begins as a BMP does
    said = "\n".join(check_source(picture, None, options()).lines())
    assert "is a GIF; save it as PNG" in said
    assert "table without pictures" in "\n".join(check_source(table, None, options()).lines())


def test_files_called_like_masks_are_said_of_a_folder(tmp_path: Path) -> None:
    for name in ("a.fits", "a_mask.fits", "a_psf.fits", "G12mskim.fits", "masked_tower.png"):
        (tmp_path / name).touch()
    words = "\n".join(list_pictures(tmp_path).words())
    assert "3 pictures are called like masks, weights, errors or PSFs" in words
    for name in ("a_mask.fits", "a_psf.fits", "G12mskim.fits"):
        (tmp_path / name).unlink()
    assert list_pictures(tmp_path).words() == []


def test_a_distortion_that_ctype_does_not_claim_is_left_out() -> None:
    stale = {"A_ORDER": 2, "B_ORDER": 2, "A_2_0": 1e-3, "B_0_2": -1e-3}
    away = {**WCS, "CRPIX1": 4000.0, "CRPIX2": -3000.0, "NAXIS": 2, "NAXIS1": 32, "NAXIS2": 32}
    found = stated_scale({**away, **stale})
    assert found.arcsec == pytest.approx(0.5, rel=1e-3)
    assert any("SIP terms left out" in note for note in found.notes)
    claimed = {**away, **stale, "CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP"}
    assert abs(stated_scale(claimed).arcsec / 0.5 - 1) > 0.1


def test_reasons_that_differ_in_names_and_numbers_are_one() -> None:
    reasons = Reasons()
    for i in range(5):
        reasons.add(f"no such file in the folder; the nearest is g{i}.png", f"h{i}")
        reasons.add(f"{40 + i} % of the pixels are NaN", f"n{i}")
    reasons.add("empty file", "e")
    assert [one["count"] for one in reasons.ranked()] == [5, 5, 1]
    assert reasons.lines()[0].endswith("the nearest is g0.png (h0, h1, h2, ...)")
    assert reasons.count == 11


def check(*words: object):
    return CliRunner().invoke(cli.app, ["check", *map(str, words)], env={"COLUMNS": "200"})


def test_the_sheet_shows_each_stamp_early_types_first(place: Path) -> None:
    sheet = place / "sheet.png"
    done = check(place / "in", "--catalog", place / "c.csv", "--size", 32, "--sheet", sheet)
    assert done.exit_code == 0, done.output
    assert f"{sheet}: 3 stamps" in done.stdout
    drawn = np.asarray(Image.open(sheet).convert("L"), float)
    ground = np.median(drawn)
    assert ground < 25  # dark
    side, gap = 128, module.GAP_PX
    top = np.flatnonzero((drawn[:, gap : gap + side] > 30).mean(1) > 0.9)[0]
    tile = drawn[top + 1 : top + 1 + side, gap : gap + side]
    # g0 is of T 3 and comes before g1 and g2, whose T is unknown; each pixel is four on a side.
    stamp = np.asarray(Image.open(place / "in" / "g0.png"), float)
    np.testing.assert_allclose(tile[2::4, 2::4], stamp, atol=1)
    assert drawn[top + side + 4 : top + side + 40, gap : gap + side].max() > 150  # its name


def test_the_sheet_shows_linear_flux_stretched_and_three_channels_in_colour(tmp_path) -> None:
    linear(1, BUNIT="nJy").writeto(tmp_path / "a.fits")
    found = check_source(tmp_path / "a.fits", None, options())
    pixels = found.sample[0].pixels
    assert np.median(pixels[:, :3]) == pytest.approx(0.02, abs=0.1)
    assert pixels.max() < 2 < linear(1).data.max()
    colour = np.zeros((32, 32, 3), np.uint8)
    colour[8:24, 8:24] = (250, 10, 10)
    Image.fromarray(colour).save(tmp_path / "c.png")
    assert check(tmp_path / "c.png", "--band", "rgb", "--size", 32, "--sheet",
                 tmp_path / "s.png").exit_code == 0  # fmt: skip
    drawn = np.asarray(Image.open(tmp_path / "s.png"))
    assert ((drawn[..., 0] > 200) & (drawn[..., 1] < 50)).sum() == (16 * 4) ** 2


def test_status_and_json(place: Path) -> None:
    done = check(place / "in", "--catalog", place / "c.csv", "--size", 32, "--json")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["usable"], found["rows"]) == (0, 3, 7)
    assert found["catalog"]["ttype"]["flags"] == {"-999": 1}
    assert sum(one["count"] for one in found["without_picture"]) == 3
    in_vain = check(place / "in", "--catalog", place / "c.csv", "--band", "7", "--json")
    assert (in_vain.exit_code, json.loads(in_vain.stdout)["usable"]) == (1, 0)
    (place / "none.csv").write_text("name\nx\ny\n")
    lost = check(place / "in", "--catalog", place / "none.csv", "--sheet", place / "s.png")
    assert lost.exit_code == 1
    assert "do --id and --image name the right" in lost.stdout
    assert "there is no stamp to draw" in lost.stdout
    assert not (place / "s.png").exists()


def test_check_shows_progress_only_where_it_takes_long(place: Path, monkeypatch) -> None:
    words = (place / "in", "--catalog", place / "c.csv", "--size", 32)
    assert check(*words).stderr == ""
    monkeypatch.setattr(module, "PATIENCE_S", 0.0)
    assert "Examining: 4/4 pictures" in check(*words).stderr


def test_the_page_on_data_shows_lines_that_there_are(place: Path) -> None:
    text = (place / "c.csv").read_text().splitlines()
    more = [f"{text[0]},file,pixscale_arcsec,mag,sky", *(f"{line},,0.4,17,0" for line in text[1:])]
    (place / "d.csv").write_text("\n".join(more) + "\n")
    (place / "e.csv").write_text("name\ng5\n")
    linear(1).writeto(place / "a.fits")
    given = ((place / "in", "d.csv"), (place / "in", "e.csv"), (place / "a.fits", None))
    found = [check_source(one, name and place / name, options()) for one, name in given]
    labels = {line[:14].strip() for one in found for line in one.lines()}
    page = Path(__file__).resolve().parents[2] / "docs" / "data.md"
    blocks = page.read_text(encoding="utf-8").split("```text\n")[1:]
    shown = [line for block in blocks for line in block.split("```")[0].splitlines()]
    heads = {line[:14].strip() for line in shown if not line.startswith("ngc.png")}
    assert len(heads) > 14
    assert heads - labels == set()


def test_what_cannot_be_listed_or_named_is_left_out_with_a_reason(tmp_path, monkeypatch) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.png").write_bytes(png(1))
    odd = os.fsencode(tmp_path / "g") + b"\xe9.png"
    try:
        Path(os.fsdecode(odd)).write_bytes(png(2))
    except OSError:
        pytest.skip("this file system knows UTF-8 alone")
    scan = os.scandir

    def closed(path):
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr("os.scandir", closed)
    found = check_source(tmp_path, None, options())
    assert (found.rows, found.usable) == (1, 1)
    said = "\n".join(found.lines())
    assert "1 x folder that cannot be listed: Permission denied (sub)" in said
    assert "1 x name that is not UTF-8; rename it (g\ufffd.png)" in said


def test_a_name_does_not_steer_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "c.csv").write_text("name\na\x1b[2Jb\n")
    said = check(tmp_path / "in", "--catalog", tmp_path / "c.csv").stdout
    assert "\x1b" not in said
    assert "a?[2Jb" in said
