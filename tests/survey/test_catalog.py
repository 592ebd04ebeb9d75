from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import MaskedColumn, Table

from galaxy_explorer.errors import BadCatalog
from galaxy_explorer.survey.catalog import blocks, stage_catalog
from galaxy_explorer.survey.columns import map_columns

COUNT = 600


@pytest.fixture(scope="module")
def table() -> Table:
    generator = np.random.default_rng(0)
    return Table(
        {
            "objid": np.arange(COUNT) + 588848901537202306,
            "ra": generator.uniform(0, 360, COUNT),
            "T": MaskedColumn(generator.uniform(-5, 10, COUNT), mask=np.arange(COUNT) % 5 == 0),
            "name": [f"IC{i:04d}" for i in range(COUNT)],
        }
    )


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [
        (".csv", "ascii.csv"),
        (".ecsv", "ascii.ecsv"),
        (".fits", "fits"),
        (".vot", "votable"),
        (".parquet", None),
    ],
)
def test_every_format_gives_the_same_columns(table, tmp_path, suffix, kind):
    path = tmp_path / f"catalog{suffix}"
    if kind:
        table.write(path, format=kind)
    else:
        pq.write_table(
            pa.table(
                {
                    n: pa.array(np.ma.getdata(c).data.tolist(), mask=np.ma.getmaskarray(c))
                    for n, c in table.items()
                }
            ),
            path,
        )
    staged = stage_catalog(path, tmp_path / "stage" / "catalog.parquet").read()
    assert staged["objid"].to_pylist() == table["objid"].tolist()
    np.testing.assert_allclose(staged["ra"].to_numpy(), table["ra"], rtol=1e-12)
    assert staged["name"].to_pylist() == table["name"].tolist()
    ttype = staged["T"].to_numpy()
    assert np.isnan(ttype).tolist() == table["T"].mask.tolist()
    np.testing.assert_allclose(ttype[~table["T"].mask], table["T"].compressed(), rtol=1e-12)


def test_csv_types(tmp_path):
    path = tmp_path / "c.csv"
    path.write_text(
        "id,whole,number,empty,code,mixed\n"
        "1, 3 ,1,,007,1\n2,,2.5,nan,100,b\n588848901537202306,-4,nan,,,--\n"
    )
    staged = stage_catalog(path, tmp_path / "s.parquet").read()
    assert staged["id"].to_pylist() == [1, 2, 588848901537202306]
    assert staged["whole"].to_pylist() == [3, None, -4]
    assert staged["number"].to_pylist() == [1.0, 2.5, None]
    assert staged["empty"].to_pylist() == [None, None, None]
    assert staged["code"].to_pylist() == ["007", "100", None]
    assert staged["mixed"].to_pylist() == ["1", "b", None]


def test_csv_type_may_change_far_down(tmp_path):
    path = tmp_path / "c.csv"
    rows = [f"{i},{i}" for i in range(200000)]
    path.write_text("id,value\n" + "\n".join(rows) + "\n200000,0.5\n")
    staged = stage_catalog(path, tmp_path / "s.parquet")
    assert staged.metadata.num_rows == 200001
    assert staged.schema_arrow.field("value").type == pa.float64()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b""),
        ("a.csv", b"id,ra\n"),
        ("a.csv", b"id,id\n1,2\n"),
        ("a.csv", b"id,ra\n1,2,3\n"),
        ("a.csv", b"\x00\xff\xfe" * 100),
        ("a.fits", b"SIMPLE  = no"),
        ("a.vot", b"<VOTABLE><oops>"),
        ("a.ecsv", b"# nothing"),
        ("a.parquet", b"PAR1"),
    ],
)
def test_unreadable_catalogue_is_badcatalog(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BadCatalog, match=name):
        stage_catalog(path, tmp_path / "s.parquet")


def test_absent_catalogue_is_badcatalog(tmp_path):
    with pytest.raises(BadCatalog, match="no such file"):
        stage_catalog(tmp_path / "absent.csv", tmp_path / "s.parquet")


def test_columns_are_guessed_in_any_case_and_said():
    columns = map_columns(["OBJID", "RA", "Dec", "T", "mag"], {}, "c.csv")
    assert (columns.galaxy_id, columns.ra, columns.dec, columns.ttype) == (
        "OBJID",
        "RA",
        "Dec",
        "T",
    )
    assert columns.image is None
    assert set(columns.guessed) == {"galaxy_id = OBJID", "ra = RA", "dec = Dec", "ttype = T"}


def test_given_columns_win_and_must_exist():
    names = ["id", "name", "ttype", "ttype_best"]
    columns = map_columns(names, {"galaxy_id": "name", "ttype": "ttype_best"}, "c.csv")
    assert columns.galaxy_id == "name"
    assert columns.renamed == {"name": "galaxy_id", "ttype_best": "ttype"}
    assert columns.guessed == ()
    with pytest.raises(BadCatalog, match="no column 'hubble'; there are id, name, ttype"):
        map_columns(names, {"ttype": "hubble"}, "c.csv")
    with pytest.raises(BadCatalog, match="--id"):
        map_columns(["a", "b"], {}, "c.csv")


@pytest.mark.parametrize("start", [0, 1, 256, 300, 512, 599, 600])
def test_blocks_from_any_row(tmp_path, start):
    path = tmp_path / "c.parquet"
    nested = pa.array([[1, 2]] * COUNT)
    pq.write_table(pa.table({"n": np.arange(COUNT), "nested": nested}), path, row_group_size=130)
    tables = list(blocks(pq.ParquetFile(path), start=start, size=256))
    assert [n for table in tables for n in table["n"].to_pylist()] == list(range(start, COUNT))
    assert all(table.num_rows == 256 for table in tables[:-1])
    assert all(table.column_names == ["n"] for table in tables)
