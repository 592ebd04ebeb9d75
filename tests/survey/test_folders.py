"""How a catalogue's names find pictures in folders, archives and Parquet files."""

from __future__ import annotations

import io
import os
import unicodedata
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image as Pictures

from galaxy_explorer.classification import expand
from galaxy_explorer.errors import BadImage, SurveyError
from galaxy_explorer.survey.catalog import CatalogRow
from galaxy_explorer.survey.folders import FolderSource, PictureIndex, is_picture
from galaxy_explorer.survey.ingest import ingest_survey
from galaxy_explorer.survey.stamps import IngestOptions

PATHS = ["a/one.jpg", "a/Two.JPG", "b/one.png", "ngc12.fits.gz", "deep/er/J1.5.png", "J1.png"]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a/one.jpg", "a/one.jpg"),
        ("./a//one.jpg", "a/one.jpg"),
        ("a\\one.jpg", "a/one.jpg"),
        ("A/ONE.jpg", "a/one.jpg"),
        ("a/one", "a/one.jpg"),
        ("two", "a/Two.JPG"),
        ("TWO.jpeg", "a/Two.JPG"),
        ("ngc12", "ngc12.fits.gz"),
        ("NGC12.fits", "ngc12.fits.gz"),
        ("J1.5", "deep/er/J1.5.png"),
        ("J1", "J1.png"),
        ("one.png", "b/one.png"),
        ("set/pictures/b/one.png", "b/one.png"),
        ("pictures/a/one.jpg", "a/one.jpg"),
        ("/data/set/pictures/a/one.jpg", "a/one.jpg"),
    ],
)
def test_names_find_their_files(name, path):
    assert PictureIndex(PATHS, "/data/set/pictures").find(name) == path


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("one", r"2 files fit equally well, such as a/one.jpg and b/one.png"),
        ("c/one.jpg", "no such file in the folder; the nearest is a/one.jpg"),
        ("ngc13", "the nearest is ngc12.fits.gz"),
        ("../one.jpg", "outside the folder"),
        ("/etc/one.jpg", "outside the folder"),
        ("a/../../x.png", "outside the folder"),
        ("C:\\data\\one.jpg", "outside the folder"),
        ("a\0b", "no file name"),
        ("x" * 300, "no file name"),
    ],
)
def test_names_that_fit_no_one_file_are_refused(name, words):
    with pytest.raises(BadImage, match=words):
        PictureIndex(PATHS, "/data/set/pictures").find(name)


def test_case_counts_where_it_tells_two_files_apart():
    index = PictureIndex(["n1.png", "N1.png"], "")
    assert index.find("N1") == "N1.png"
    assert index.find("n1.png") == "n1.png"
    composed = unicodedata.normalize("NFC", "Gérard")
    assert PictureIndex([unicodedata.normalize("NFD", "Gérard.png")], "").find(composed)
    with pytest.raises(BadImage, match="no picture in it"):
        PictureIndex([], "").find("a")


def test_what_a_picture_is_called():
    for name in ("a.FITS", "a.fits.fz", "b.Jpeg", "c.fit.gz"):
        assert is_picture(name)
    for name in ("a.csv", ".png", "fits", "notes.txt"):
        assert not is_picture(name)


def picture(seed: int) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16), dtype=np.uint8)
    Pictures.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def ingest(source, catalog, out, **columns):
    return ingest_survey(source, catalog, out, IngestOptions(size=16, columns=columns))


def test_links_are_followed_and_counted(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    for i in range(2):
        (tmp_path / "elsewhere" / f"e{i}.png").write_bytes(picture(i))
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "in.png").write_bytes(picture(7))
    (folder / "e0.png").symlink_to(tmp_path / "elsewhere" / "e0.png")
    (folder / "away").symlink_to(tmp_path / "elsewhere")
    (folder / "other").symlink_to(folder / "sub")
    (folder / "lost.png").symlink_to(tmp_path / "absent.png")
    (folder / "notes.txt").write_text("x")
    os.mkfifo(folder / "pipe.png")
    source = FolderSource(folder)
    assert source.notes() == [
        "1 pictures are links to files outside the folder, followed",
        "left out: 2 x broken link or special file (lost.png, pipe.png), 1 x linked folder outside "
        "this one, to be named itself (away), 1 x .txt (notes.txt)",
    ]

    def fetch(name):
        return source.fetch(CatalogRow(0, name, "", np.nan, np.nan, np.nan))

    assert fetch("e0").data.shape == fetch("in").data.shape
    np.testing.assert_array_equal(fetch("other/in.png").data, fetch("sub/in.png").data)
    for name in ("away/e1.png", "e1", "lost"):
        with pytest.raises(BadImage, match="no such file"):
            fetch(name)
    said: list[str] = []
    assert [path.name for path in expand([folder], said.append)] == ["e0.png", "in.png"]
    assert len(said) == 2


def test_an_archive_is_read_in_place(tmp_path):
    with zipfile.ZipFile(tmp_path / "pictures.zip", "w") as archive:
        for i in range(3):
            archive.writestr(f"set/N{i}.PNG", picture(i))
        archive.writestr("__MACOSX/set/._N0.PNG", b"x")
    (tmp_path / "c.csv").write_text("id\nN0\nN1\nN9\n")
    report = ingest(tmp_path / "pictures.zip", tmp_path / "c.csv", tmp_path / "s")
    assert (report.accepted, report.rejected, report.unused_pictures) == (2, 1, 1)
    assert "3 pictures read from the zip archive" in report.notes
    assert "the nearest is set/N2.PNG" in report.rejects.read_text()
    (tmp_path / "bad.zip").write_bytes(b"PK no archive")
    with pytest.raises(BadImage, match="unpack it"):
        ingest(tmp_path / "bad.zip", tmp_path / "c.csv", tmp_path / "t")


def test_pictures_in_parquet(tmp_path):
    structs = [{"bytes": picture(i), "path": f"{i}.png"} for i in range(3)]
    structs[1] = None
    table = pa.table({"id_str": ["a", "b", "c"], "image": structs, "T": [1, 2, 3]})
    path = tmp_path / "set.parquet"
    pq.write_table(table, path, row_group_size=2)
    report = ingest(path, path, tmp_path / "s", galaxy_id="id_str")
    assert report.survey.column("galaxy_id").tolist() == ["a", "c"]
    assert any("bytes of the column image, row by row" in note for note in report.notes)
    (tmp_path / "c.csv").write_text("id_str\nc\na\n")
    other = ingest(path, tmp_path / "c.csv", tmp_path / "t", galaxy_id="id_str")
    np.testing.assert_array_equal(other.survey.stamps(), report.survey.stamps()[::-1])
    assert other.unused_pictures == 1


def test_a_picture_of_two_rows_is_said(tmp_path):
    folder = tmp_path / "p"
    folder.mkdir()
    (folder / "n1.png").write_bytes(picture(1))
    (tmp_path / "c.csv").write_text("id\nN1\nn1\n")
    report = ingest(folder, tmp_path / "c.csv", tmp_path / "s")
    assert "1 pictures are those of several rows, n1.png first" in report.notes


def test_hidden_files_are_left_out_and_counted(tmp_path):
    folder = tmp_path / "in"
    (folder / ".ipynb_checkpoints").mkdir(parents=True)
    for name in ("a.png", "._a.png", ".ipynb_checkpoints/b.png"):
        (folder / name).write_bytes(picture(1))
    source = FolderSource(folder)
    assert source.index.paths == ["a.png"]
    left_out = {"hidden folder": 1, "hidden file": 1}
    assert {one["reason"]: one["count"] for one in source.listing.left_out.ranked()} == left_out


def test_an_archive_with_backslashes_and_twins_is_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        for name in ("set\\a.png", "set\\._a.png", "__MACOSX/set/._a.png"):
            archive.writestr(zipfile.ZipInfo(name), picture(1))
    (tmp_path / "c.csv").write_text("id\na\n")
    report = ingest(tmp_path / "p.zip", tmp_path / "c.csv", tmp_path / "s")
    assert (report.accepted, report.unused_pictures) == (1, 0)


def test_a_file_of_a_kind_that_is_not_read_is_named_with_the_cure(tmp_path):
    for name in ("a.gif", "b.fits.xz", "c.png"):
        (tmp_path / name).write_bytes(picture(1))
    source = FolderSource(tmp_path)
    for wanted, found in (("a", "a.gif"), ("b", "b.fits.xz"), ("a.jpg", "a.gif")):
        with pytest.raises(
            BadImage, match=f"{found} is of a kind that is not read; save it as PNG"
        ):
            source.fetch(CatalogRow(0, wanted, "", np.nan, np.nan, np.nan))
    with pytest.raises(BadImage, match=r"the nearest is c\.png"):
        source.fetch(CatalogRow(0, "d", "", np.nan, np.nan, np.nan))


def test_sources_that_are_none_are_refused_with_the_cure(tmp_path):
    (tmp_path / "c.csv").write_text("id\na\n")
    for name, words in (
        ("p.tar.gz", "unpack it into a folder"),
        ("a.jpg", "give the folder that it is in"),
        ("none", "no such file or folder"),
    ):
        if name != "none":
            (tmp_path / name).write_bytes(b"0")
        with pytest.raises(SurveyError, match=words):
            ingest(tmp_path / name, tmp_path / "c.csv", tmp_path / "s")
