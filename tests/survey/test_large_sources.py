"""Sources of millions as other projects write them: zarr, Cutana, Multimodal Universe, HATS."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr
from PIL import Image

from galaxy_explorer.errors import BadImage, GalaxyExplorerError, SurveyError
from galaxy_explorer.survey.check import check_source
from galaxy_explorer.survey.ingest import ingest_survey
from galaxy_explorer.survey.stamps import IngestOptions
from galaxy_explorer.survey.store import Survey
from galaxy_explorer.survey.zarr_cubes import open_zarr
from tests.survey.test_ingest import write_csv

SIDE, COUNT = 24, 12
BITS = np.random.default_rng(0).integers(0, 256, (COUNT, SIDE, SIDE, 3), np.uint8)
FLUX = np.random.default_rng(1).normal(3, 1, (COUNT, 2, SIDE, SIDE)).astype(np.float32)


def taken(source: Path, out: Path, catalog: Path | None = None, **options) -> Survey:
    """The survey of a source by its own catalogue, which a check has announced."""
    given = IngestOptions(size=SIDE, **options)
    report = ingest_survey(source, catalog or source, out, given)
    found = check_source(source, catalog, given, every=True)
    assert found.usable == report.accepted
    return report.survey


def cutana(folder: Path, parts: tuple[int, ...] = (5, 7), *, zarr_format: int = 3) -> None:
    """A run of Cutana: a folder a batch, stamps (n, H, W, C), ids in the table beside."""
    start = 0
    for number, count in enumerate(parts):
        batch = folder / f"batch_cutout_process_{number:03d}_ab{number}"
        group = zarr.open_group(batch / "images.zarr", mode="w", zarr_format=zarr_format)
        group.create_array("images", data=BITS[start : start + count], chunks=(4, SIDE, SIDE, 3))
        rows = range(start, start + count)
        table = {
            "source_id": [f"TILE_{number}_{i}" for i in rows],
            "ra": [10.0 + i for i in rows],
            "dec": [-5.0] * count,
            "pixel_scale_arcsec_per_pixel": [0.1 + 0.01 * i for i in rows],
            "tile": ["tile.fits"] * count,
        }
        pq.write_table(pa.table(table), batch / "images_metadata.parquet")
        start += count


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_cutanas_batches_are_one_source_and_its_catalogue(tmp_path, zarr_format):
    cutana(tmp_path / "run", zarr_format=zarr_format)
    survey = taken(tmp_path / "run", tmp_path / "s", band="rgb")
    np.testing.assert_array_equal(survey.stored(), np.moveaxis(BITS, 3, 1))
    assert survey.column("galaxy_id").tolist()[4:6] == ["TILE_0_4", "TILE_1_5"]
    assert survey.column("ra").tolist() == [10.0 + i for i in range(COUNT)]
    scales = survey.column("stamp_pixel_scale_arcsec")
    np.testing.assert_allclose(scales, 0.1 + 0.01 * np.arange(COUNT))
    assert survey.meta["pixel_scale_arcsec"] is None
    assert survey.column("tile")[0] == "tile.fits"


def test_cutanas_stamps_go_by_id_with_another_catalogue(tmp_path):
    cutana(tmp_path / "run")
    ids = ["TILE_1_11", "TILE_0_0", "TILE_9_9"]
    catalog = write_csv(tmp_path / "c.csv", {"source_id": ids})
    survey = taken(tmp_path / "run", tmp_path / "s", catalog, band="rgb")
    np.testing.assert_array_equal(survey.stored(), np.moveaxis(BITS[[11, 0]], 3, 1))


def test_a_batch_whose_table_does_not_fit_is_refused(tmp_path):
    cutana(tmp_path / "run")
    table = next((tmp_path / "run").glob("*001*/*.parquet"))
    pq.write_table(pq.read_table(table).slice(1), table)
    with pytest.raises(SurveyError, match="6 rows for 7 stamps"):
        taken(tmp_path / "run", tmp_path / "s")


@pytest.mark.parametrize("ids", [np.arange(5000, 5000 + COUNT), np.array(["a", "b", "cc"] * 4)])
def test_a_zarr_group_with_ids_beside_the_stamps(tmp_path, ids):
    ids = ids if ids.dtype.kind == "i" else np.array([f"{n}{i}" for i, n in enumerate(ids)])
    group = zarr.open_group(tmp_path / "c.zarr", mode="w")
    group.create_array("images", data=FLUX, chunks=(5, 2, SIDE, SIDE))
    group.create_array("objid", data=ids.astype("U8") if ids.dtype.kind == "U" else ids)
    catalog = write_csv(tmp_path / "c.csv", {"objid": ids[::-1].tolist()})
    survey = taken(tmp_path / "c.zarr", tmp_path / "s", catalog, band="1")
    np.testing.assert_array_equal(survey.stamps()[:, 0], FLUX[::-1, 1])


TEXTS = (
    pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string()),
    pa.binary(),
)  # fmt: skip


@pytest.mark.parametrize("kind", TEXTS, ids=str)
def test_ids_in_the_table_beside_are_text_of_any_kind(tmp_path, kind):
    zarr.create_array(tmp_path / "c.zarr", data=BITS[..., 0])
    ids = [f"g{i}" for i in range(COUNT)]
    beside = {"name": pa.array(ids, pa.string()).cast(kind), "flag": [1] * COUNT}
    pq.write_table(pa.table(beside), tmp_path / "c_metadata.parquet")
    catalog = write_csv(tmp_path / "c.csv", {"name": ids[::-1]})
    survey = taken(tmp_path / "c.zarr", tmp_path / "s", catalog)
    np.testing.assert_array_equal(survey.stored()[:, 0], BITS[::-1, ..., 0])


def test_whole_numbers_with_a_gap_in_the_table_beside_are_ids(tmp_path):
    zarr.create_array(tmp_path / "c.zarr", data=BITS[..., 0])
    ids = [2**60 + i for i in range(COUNT)]
    table = pa.table({"number": pa.array([None, *ids[1:]], pa.int64())})
    pq.write_table(table, tmp_path / "c_metadata.parquet")
    catalog = write_csv(tmp_path / "c.csv", {"id": ids[::-1]})
    survey = taken(tmp_path / "c.zarr", tmp_path / "s", catalog)
    np.testing.assert_array_equal(survey.stored()[:, 0], BITS[:0:-1, ..., 0])


def test_a_table_beside_without_a_column_of_ids_is_refused(tmp_path):
    zarr.create_array(tmp_path / "c.zarr", data=BITS[..., 0])
    table = pa.table({"id": [[i] for i in range(COUNT)]})
    pq.write_table(table, tmp_path / "c_metadata.parquet")
    with pytest.raises(
        SurveyError, match=r"no column of numbers or text .*id \(list.*write the id"
    ):
        open_zarr(tmp_path / "c.zarr", "id")


def test_a_bare_zarr_array_goes_row_by_row(tmp_path):
    zarr.create_array(tmp_path / "c.zarr", data=BITS[..., 0])
    catalog = write_csv(tmp_path / "c.csv", {"id": [f"g{i}" for i in range(COUNT)]})
    survey = taken(tmp_path / "c.zarr", tmp_path / "s", catalog, by_row=True)
    np.testing.assert_array_equal(survey.stored()[:, 0], BITS[..., 0])


def test_a_codec_that_may_execute_is_refused(tmp_path):
    zarr.create_array(tmp_path / "c.zarr", data=BITS[..., 0], zarr_format=2)
    meta = json.loads((tmp_path / "c.zarr" / ".zarray").read_text())
    (tmp_path / "c.zarr" / ".zarray").write_text(
        json.dumps({**meta, "filters": [{"id": "pickle"}]})
    )
    with pytest.raises(BadImage, match="codec pickle is not read"):
        open_zarr(tmp_path / "c.zarr", "id")
    zarr.open_group(tmp_path / "g.zarr", mode="w").create_array("images", data=BITS[..., 0])
    group = json.loads((tmp_path / "g.zarr" / "zarr.json").read_text())
    hidden = {"metadata": {"images": {"codecs": [{"name": "numcodecs.pickle"}]}}}
    group["consolidated_metadata"] = hidden
    (tmp_path / "g.zarr" / "zarr.json").write_text(json.dumps(group))
    with pytest.raises(BadImage, match="codec pickle is not read"):
        open_zarr(tmp_path / "g.zarr", "id")


@pytest.mark.parametrize("damage", ["{", "[]", '{"zarr_format": 3, "node_type": "array"}', ""])
def test_damaged_zarr_is_refused(tmp_path, damage):
    zarr.create_array(tmp_path / "c.zarr", data=BITS[..., 0])
    (tmp_path / "c.zarr" / "zarr.json").write_text(damage)
    with pytest.raises(GalaxyExplorerError):
        open_zarr(tmp_path / "c.zarr", "id")


def pixels(rows: range, kind: str) -> pa.Array:
    """The column `image` of a data set of the Multimodal Universe."""
    plane = pa.list_(pa.list_(pa.float32()))
    names = {"band": pa.string(), "flux": plane, "ivar": plane, "scale": pa.float32()}
    one = [
        {
            "band": ["DES-G", "DES-R"],
            "flux": FLUX[i].tolist(),
            "ivar": np.ones((2, SIDE, SIDE)).tolist(),
            "scale": [0.262, 0.262],
        }
        for i in rows
    ]
    one[0]["ivar"][1][0][0] = 0.0
    if kind == "struct of lists":
        return pa.array(one, pa.struct([(name, pa.list_(type_)) for name, type_ in names.items()]))
    if kind == "flat planes":
        planes = [FLUX[i].reshape(2, -1).tolist() for i in rows]
        flat = [{**entry, "flux": each} for each, entry in zip(planes, one, strict=True)]
        fields = {**names, "flux": pa.list_(pa.float32())}
        flat = [{name: entry[name] for name in fields if name != "ivar"} for entry in flat]
        kept = [(name, pa.list_(type_)) for name, type_ in fields.items() if name != "ivar"]
        return pa.array(flat, pa.struct(kept))
    rows_of = [
        [dict(zip(entry, each, strict=True)) for each in zip(*entry.values(), strict=True)]
        for entry in one
    ]
    return pa.array(rows_of, pa.list_(pa.struct([*names.items()])))


def hats(folder: Path, kind: str) -> None:
    """A HATS catalogue of two pixels, the second of a larger number."""
    (folder / "dataset").mkdir(parents=True)
    (folder / "hats.properties").write_text("obs_collection=mmu\nhats_nrows=12\n")
    for pixel, rows in (("9", range(7)), ("10", range(7, COUNT))):
        table = {
            "_healpix_29": [1000 * i for i in rows],
            "object_id": [str(10**17 + i) for i in rows],
            "ra": [150.0 + i for i in rows],
            "dec": [2.0] * len(rows),
            "z_spec": [0.1 * i for i in rows],
            "image": pixels(rows, kind),
        }
        part = folder / "dataset" / "Norder=2" / "Dir=0" / f"Npix={pixel}.parquet"
        part.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(table), part, row_group_size=3)
    pq.write_metadata(pq.read_schema(part), folder / "dataset" / "_common_metadata")


@pytest.mark.parametrize("kind", ["struct of lists", "list of structs", "flat planes"])
def test_a_hats_catalogue_with_pixels_is_read_part_by_part(tmp_path, kind):
    hats(tmp_path / "mmu", kind)
    survey = taken(tmp_path / "mmu", tmp_path / "s", band="DES-R,DES-G")
    wanted = FLUX[:, ::-1].copy()
    share = 1.0 if kind == "flat planes" else 1 - 0.5 / SIDE**2
    assert survey.column("valid_share")[[0, 1, 7]] == pytest.approx([share, 1.0, share])
    found = survey.stamps()
    np.testing.assert_array_equal(found[1:7], wanted[1:7])
    np.testing.assert_array_equal(found[8:], wanted[8:])
    np.testing.assert_array_equal(found[:, 0, 1:], wanted[:, 0, 1:])
    assert survey.column("galaxy_id")[7] == str(10**17 + 7)
    assert survey.column("z_spec")[11] == pytest.approx(1.1)
    assert survey.column("stamp_pixel_scale_arcsec") == pytest.approx(0.262)
    assert survey.column("taken")[0].startswith("image.flux")


def test_a_hats_collection_names_its_primary_table(tmp_path):
    hats(tmp_path / "all" / "primary", "list of structs")
    hats(tmp_path / "all" / "margin", "list of structs")
    (tmp_path / "all" / "collection.properties").write_text("hats_primary_table_url=primary\n")
    assert len(taken(tmp_path / "all", tmp_path / "s", band="DES-G")) == COUNT


def test_light_curves_are_no_pictures(tmp_path):
    light = [{"time": [1.0, 2.0], "flux": [3.0, 4.0]}] * 3
    pq.write_table(pa.table({"id": ["a", "b", "c"], "image": light}), tmp_path / "p.parquet")
    with pytest.raises(SurveyError, match="no column of pictures"):
        taken(tmp_path / "p.parquet", tmp_path / "s")


@pytest.mark.parametrize(
    ("flux", "word"),
    [
        ([[[1.0, 2.0], [3.0]]], "different lengths"),
        ([[[1.0, 2.0]], [[1.0, 2.0], [3.0, 4.0]]], "different lengths"),
        ([], "planes"),
        ([[]], "planes"),
        (None, "nothing in image.flux"),
    ],
)
def test_pixels_that_are_no_planes_are_rejects(tmp_path, flux, word):
    good = {"band": ["g"], "flux": FLUX[0, :1].tolist()}
    kind = pa.struct(
        [("band", pa.list_(pa.string())), ("flux", pa.list_(pa.list_(pa.list_(pa.float32()))))]
    )
    images = pa.array([good, {"band": ["g"], "flux": flux}, None], kind)
    pq.write_table(pa.table({"id": ["a", "b", "c"], "image": images}), tmp_path / "p.parquet")
    survey = taken(tmp_path / "p.parquet", tmp_path / "s")
    assert survey.column("galaxy_id").tolist() == ["a"]
    assert word in (tmp_path / "s" / "rejects.csv").read_text()


def test_a_folder_of_parquet_with_files_in_bytes(tmp_path):
    (tmp_path / "data").mkdir()
    for number in range(3):
        images, rows = [], range(number * 4, number * 4 + 4)
        for i in rows:
            stream = io.BytesIO()
            Image.fromarray(BITS[i]).save(stream, "PNG")
            images.append({"bytes": stream.getvalue(), "path": f"{i}.png"})
        table = pa.table(
            {"id": [f"g{i}" for i in range(number * 4, number * 4 + 4)], "image": images}
        )
        pq.write_table(table, tmp_path / "data" / f"train-0000{number}-of-00003.parquet")
    (tmp_path / "data" / "README.md").write_text("a card")
    survey = taken(tmp_path / "data", tmp_path / "s", band="rgb")
    np.testing.assert_array_equal(survey.stored(), np.moveaxis(BITS, 3, 1))
    catalog = write_csv(tmp_path / "c.csv", {"id": ["g9", "g2", "none"]})
    by_id = taken(tmp_path / "data", tmp_path / "t", catalog, band="rgb")
    np.testing.assert_array_equal(by_id.stored(), np.moveaxis(BITS[[9, 2]], 3, 1))
