from __future__ import annotations

import bz2
import gzip
import io
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import MaskedColumn, QTable, Table
from astropy.time import Time
from hypothesis import given, settings
from hypothesis import strategies as st

from galaxy_explorer.errors import BadCatalog
from galaxy_explorer.utils.reading import plain_table, stage_table
from galaxy_explorer.utils.tables import (
    check_id_texts,
    hubble_stage,
    outside_words,
    stage_or_nan,
)

WANTED = {"id": ["U1", "U2"], "ra": [12.5, 13.5], "T": [3, -5]}


def read(tmp_path, name, content, **options):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    staged = stage_table(path, tmp_path / "staged.parquet", **options)
    return plain_table(staged.read(), staged.left_out).to_pydict(), staged


@pytest.mark.parametrize(
    "text",
    [
        "id,ra,T\nU1,12.5,3\nU2,13.5,-5\n",
        "id , ra, T \r\nU1, 12.5 , 3\r\n\r\nU2,13.5,-5\r\n",
        "id\tra\tT\nU1\t12.5\t3\nU2\t13.5\t-5",
        "id;ra;T\nU1;12,5;3\nU2;13,5;-5\n",
        "id|ra|T\nU1|12.5|3\nU2|13.5|-5\n",
        "| id | ra   | T  |\n|----|------|----|\n| U1 | 12.5 | 3  |\n| U2 | 13.5 | -5 |\n",
        "  id     ra   T\n  U1   12.5   3\n  U2   13.5  -5\n",
        "# made by hand\n#   id  ra  T\nU1 12.5 3\nU2 13.5 -5\n",
        "# a comment, with commas\n\nid,ra,T\nU1,12.5,3\n# between\nU2,13.5,-5\n",
        'id,ra,T\n"U1","12.5","3"\n"U2",13.5,-5\n',
        "sep=;\nid;ra;T\nU1;12.5;3\nU2;13.5;-5\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_text_of_any_layout_is_the_same_table(tmp_path, text, encoding):
    found, staged = read(tmp_path, "mine.txt", text.encode(encoding))
    assert found == WANTED
    assert ("read as UTF-16" in staged.notes) == (encoding == "utf-16")


def test_what_was_decided_is_said(tmp_path):
    _, staged = read(tmp_path, "c.csv", "id;ra\nU1;1,5\n")
    assert staged.said() == ["separator: semicolon", "decimal commas in ra"]
    found, staged = read(tmp_path, "c.csv", "id,who\nU1,Gérard\n".encode("latin-1"))
    assert found["who"] == ["Gérard"]
    assert staged.said() == ["not UTF-8: read as Latin-1"]
    found, staged = read(tmp_path, "c.csv", "id,who\nU1,“Plate”\n".encode("cp1252"))
    assert found["who"] == ["“Plate”"]
    assert "Windows-1252" in staged.said()[0]
    found, staged = read(tmp_path, "c.csv", ",id\n0,U1\n1,U2\n")
    assert found == {"id": ["U1", "U2"]}
    assert staged.said() == ["columns not used: column 1 (no name in the header)"]


def test_lines_of_units_and_dashes_are_no_rows(tmp_path):
    text = "# from VizieR\n\nName;RAJ2000;Dec\n;deg;rad\n----;-------;---\nU1;1.5;2\nU2;2.5;3\n"
    found, staged = read(tmp_path, "c.tsv", text)
    assert found == {"Name": ["U1", "U2"], "RAJ2000": [1.5, 2.5], "Dec": [2, 3]}
    assert staged.units == {"RAJ2000": "deg", "Dec": "rad"}
    assert read(tmp_path, "c.txt", "id  ra\n--  ---\na   1\nb   2\n")[0]["id"] == ["a", "b"]


def test_quotes_after_a_blank_and_old_line_ends(tmp_path):
    found, _ = read(tmp_path, "c.csv", 'id, name\nU1, "a, b"\nU2, "c"\n')
    assert found == {"id": ["U1", "U2"], "name": ["a, b", "c"]}
    assert read(tmp_path, "c.csv", "id,x\rU1,1\rU2,2\r")[0] == {"id": ["U1", "U2"], "x": [1, 2]}


def test_tables_of_archives(tmp_path):
    ipac = "\\origin = 'x'\n|name |   ra|\n|char |real |\n|     |deg  |\n U1     1.50 \n"
    found, staged = read(tmp_path, "c.tbl", ipac)
    assert found == {"name": ["U1"], "ra": [1.5]}
    assert (staged.units, staged.notes) == ({"ra": "deg"}, ["read as ipac"])
    sextractor = "#   1 NUMBER   Running number\n#   2 ALPHA_J2000  RA  [deg]\n 1 1.5\n 2 2.5\n"
    found, staged = read(tmp_path, "c.cat", sextractor)
    assert found == {"NUMBER": [1, 2], "ALPHA_J2000": [1.5, 2.5]}
    assert staged.units == {"ALPHA_J2000": "deg"}


def test_words_with_blanks_are_cut_where_two_blanks_stand(tmp_path):
    found, _ = read(tmp_path, "c.dat", "name      ra\nNGC 12    1.5\nNGC 7331  2.5\n")
    assert found == {"name": ["NGC 12", "NGC 7331"], "ra": [1.5, 2.5]}
    with pytest.raises(BadCatalog, match="line 3 has 3 cells, 2 are expected"):
        read(tmp_path, "c.dat", "name ra\nNGC12 1.5\nNGC 7331 2.5\n")


def test_a_row_that_begins_with_a_hash_is_a_row(tmp_path):
    found, _ = read(tmp_path, "c.csv", "id,ra\nU1,1\n#7,2\n")
    assert found == {"id": ["U1", "#7"], "ra": [1, 2]}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("c.csv", "12,150.5,3\n13,150.6,4\n", "holds values where the names"),
        ("c.xlsx", b"PK\x03\x04" + bytes(60), "Excel"),
        ("c.xls", b"\xd0\xcf\x11\xe0" + bytes(60), "Excel"),
        ("c.csv", b"\x89HDF\r\n\x1a\n" + bytes(60), "HDF5"),
        ("c.csv", b"id,ra\nU1,\0\0\n", "binary"),
        ("c.csv", "id,ra,id\n1,2,3\n", "'id' appears twice"),
        ("c.csv.gz", b"\x1f\x8b nonsense", "cannot be read"),
    ],
)
def test_what_is_no_table_is_refused_with_the_cure(tmp_path, name, content, words):
    with pytest.raises(BadCatalog, match=words):
        read(tmp_path, name, content)


def test_values_of_text_to_the_last_digit(tmp_path):
    large = ["9223372036854775807", "18446744073709551615", "98765432109876543210987", "007"]
    for value in large:
        found, _ = read(tmp_path, "c.csv", f"id,other\n{value},x\n")
        assert str(found["id"][0]) == value
    found, _ = read(tmp_path, "c.csv", "id,x\n12345678901234567,1\n0.5,1\n")
    assert found["id"] == ["12345678901234567", "0.5"]
    found, _ = read(tmp_path, "c.csv", "id,x\n1,NA\n2,1.5\n3,?\n4,~\n5,-\n6,None\n")
    assert found["x"] == [None, 1.5, None, None, None, None]
    found, _ = read(tmp_path, "c.csv", "id,x\n-,NA\n2,b\n", as_text=lambda _: ["id", "x"])
    assert found == {"id": ["-", "2"], "x": ["NA", "b"]}


def test_packed_tables(tmp_path):
    text = b"id,ra\nU1,1.5\n"
    for name, pack in (("c.csv.gz", gzip.compress), ("c.csv.bz2", bz2.compress)):
        assert read(tmp_path, name, pack(text))[0] == {"id": ["U1"], "ra": [1.5]}
    buffer = io.BytesIO()
    Table({"id": [1]}).write(buffer, format="fits")
    assert read(tmp_path, "c.fits.gz", gzip.compress(buffer.getvalue()))[0] == {"id": [1]}
    assert read(tmp_path, "c.fits.fz", buffer.getvalue())[0] == {"id": [1]}
    with pytest.raises(BadCatalog, match="unpacked it is too large"):
        read(tmp_path, "c.csv.gz", gzip.compress(text * 1000), most_bytes=5000)
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr("c.csv", text)
    with pytest.raises(BadCatalog, match="unpack it"):
        stage_table(tmp_path / "c.zip", tmp_path / "s")


def fits_of(*tables: tuple[str, Table]) -> bytes:
    hdus = [fits.BinTableHDU(table, name=name) for name, table in tables]
    buffer = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(buffer)
    return buffer.getvalue()


def test_of_several_fits_tables_the_named_one_is_read(tmp_path):
    data = fits_of(("FIELD", Table({"n": [1, 2]})), ("SOURCES", Table({"id": [7]})))
    with pytest.raises(BadCatalog, match=r"2 tables: 1 FIELD \(2 rows\), 2 SOURCES \(1 rows\)"):
        read(tmp_path, "c.fits", data)
    for wanted in ("sources", "2"):
        found, staged = read(tmp_path, "c.fits", data, table=wanted)
        assert found == {"id": [7]}
        assert staged.notes == ["table: HDU 2 SOURCES of 2 tables"]
    with pytest.raises(BadCatalog, match="--table stars fits none"):
        read(tmp_path, "c.fits", data, table="stars")
    with pytest.raises(BadCatalog, match="one table only"):
        read(tmp_path, "c.csv", "id\n1\n", table="a")
    ldac = fits_of(("LDAC_IMHEAD", Table({"h": ["x"]})), ("LDAC_OBJECTS", Table({"NUMBER": [3]})))
    assert read(tmp_path, "c.cat", ldac)[0] == {"NUMBER": [3]}


VOTABLE = """<?xml version="1.0"?><VOTABLE version="1.3"><RESOURCE>{}</RESOURCE></VOTABLE>"""
ONE = (
    '<TABLE name="{0}"><FIELD ID="c1" name="{1}" datatype="long"/>'
    '<FIELD ID="c2" name="ra" datatype="double" unit="rad"/>'
    "<DATA><TABLEDATA><TR><TD>{2}</TD><TD>0.5</TD></TR></TABLEDATA></DATA></TABLE>"
)


def test_votables_go_by_names_and_the_named_table(tmp_path):
    one = ONE.format("a", "objid", 1237648720693690421)
    found, staged = read(tmp_path, "c.xml", VOTABLE.format(one))
    assert found == {"objid": [1237648720693690421], "ra": [0.5]}
    assert staged.units == {"ra": "rad"}
    two = VOTABLE.format(one + ONE.format("b", "id", 5))
    with pytest.raises(BadCatalog, match="--table"):
        read(tmp_path, "c.vot", two)
    assert read(tmp_path, "c.vot", two, table="b")[0]["id"] == [5]


def test_masked_vectors_and_unsigned_columns_of_fits(tmp_path):
    table = Table(
        {
            "id": np.array([2**64 - 1, 2**63 + 3], np.uint64),
            "n": MaskedColumn([5, 6], mask=[False, True], fill_value=-99),
            "name": np.array([b"caf\xe9 ", b"x"], "S6"),
            "flux": np.array([[1.0, 2.0], [3.0, 4.0]]),
            "cube": np.zeros((2, 3, 3)),
        }
    )
    found, staged = read(tmp_path, "c.fits", fits_of(("T", table)))
    assert found == {
        "id": [2**64 - 1, 2**63 + 3],
        "n": [5, None],
        "name": ["café", "x"],
        "flux_0": [1.0, 3.0],
        "flux_1": [2.0, 4.0],
    }
    assert "column name read as Latin-1" in staged.notes
    assert staged.said()[-1] == "columns not used: cube (3 x 3 values in an entry)"


def test_mixins_of_ecsv(tmp_path):
    place = SkyCoord([10.0, 20.0] * u.deg, [-5.0, 5.0] * u.deg, frame="icrs")
    table = QTable(
        {"id": ["a", "b"], "sky": place, "d": [1, 2] * u.Mpc, "t": Time([1, 2], format="mjd")}
    )
    table.write(tmp_path / "c.ecsv", format="ascii.ecsv")
    staged = stage_table(tmp_path / "c.ecsv", tmp_path / "s")
    found = staged.read().to_pydict()
    np.testing.assert_allclose(found["ra"], [10.0, 20.0])
    np.testing.assert_allclose(found["dec"], [-5.0, 5.0])
    assert found["d"] == [1.0, 2.0]
    assert staged.units == {"ra": "deg", "dec": "deg", "d": "Mpc"}
    assert found["t"][0].startswith("1858-11-18")


def test_parquet_of_others(tmp_path):
    table = pa.table(
        {
            "name": pa.array([b"N1", b"N2"]),
            "picture": pa.array([{"bytes": b"\xff\xd8", "path": "a.jpg"}, None]),
            "jpeg": pa.array([b"\xff\xd8", b"\xff\xd9"]),
            "word": pa.array(["Sa", "Sb"]).dictionary_encode(),
            "xy": pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float64(), 2)),
            "many": pa.array([[1], [2, 3]]),
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    found, staged = read(tmp_path, "c.parquet", (tmp_path / "t.parquet").read_bytes())
    assert found == {
        "name": ["N1", "N2"],
        "word": ["Sa", "Sb"],
        "xy_0": [1.0, 3.0],
        "xy_1": [2.0, 4.0],
    }
    assert set(staged.left_out) == {"picture", "jpeg", "many"}
    assert "struct" in staged.said()[0]
    Table({"ra": [1.0] * u.rad}).write(tmp_path / "u.parquet", format="parquet")
    assert stage_table(tmp_path / "u.parquet", tmp_path / "s").units == {"ra": "rad"}


@pytest.mark.parametrize(
    ("text", "stage"),
    [
        ("cE", -6), ("E", -5), ("E0", -5), ("E5-6", -5), ("dE", -5), ("E+", -4), ("cD", -4),
        ("E/S0", -3), ("E-S0", -3), ("S0-", -3), ("SA0^-", -3), ("S0", -2), ("SB(s)0", -2),
        ("S0^0", -2), ("SAB0+", -1), ("S0/a", 0), ("(R)SB(r)0/a", 0), ("S0-a", 0), ("Sa", 1),
        ("SBab", 2), ("SA(rs)b", 3), ("SBb", 3), ("Sb", 3), ("Sb pec", 3), ("SB(rs)bc?", 4),
        ("SAB(rs)c", 5), ("Sc:", 5), ("Scd", 6), ("Sb-c", 4), ("Sd", 7), ("SBdm", 8), ("Sm", 9),
        ("Im", 10), ("IBm", 10), ("IB(s)m", 10), ("Irr", 10), ("IRR", 10), ("cI", 11), ("2.5", 2.5),
        ("-6.4", -6.4), ("SBc sp", 5), ("SAB0-pec", -3), ("S0/E", -3), ("cD0", -4), ("dE,N", -5),
        ("Sb/Sc", 4), ("ScII.2", 5), ("SBb(r)I-II", 3), ("Sb;LINER", 3), ("\u22125", -5),
    ],
)  # fmt: skip
def test_hubble_types_are_stages(text, stage):
    assert hubble_stage(text) == stage


@pytest.mark.parametrize(
    "text",
    ["", "NA", "?", "-", "~", "None", "null", "S", "SB", "Pec", "I0", "S?", "S...", "Unknown"],
)
def test_types_without_a_stage_are_unknown(text):
    assert np.isnan(hubble_stage(text))


@pytest.mark.parametrize("text", ["banana", "star", "12h", "Sx", "SBBC", "3 or 4"])
def test_other_words_are_refused(text):
    with pytest.raises(ValueError, match="neither a stage"):
        hubble_stage(text)


def test_stages_end_where_the_rule_says():
    values = np.array([-6.6, -6.5, 0.0, 11.5, 11.6, 99.0, -999.0, np.inf, np.nan])
    kept = ~np.isnan(stage_or_nan(values))
    assert kept.tolist() == [False, True, True, True, False, False, False, False, False]
    words = outside_words({"99": 1, "-999": 2})
    assert words == "3 values outside -6..11 taken as unknown: -999, 99"


def test_ids_that_were_floats():
    assert check_id_texts(["1234.0", "", "5678.0"], "id", "c.csv")
    assert not check_id_texts(["12.0", "12.5"], "id", "c.csv")
    assert not check_id_texts(["7", "8"], "id", "c.csv")
    for lost in ("1.23764872069369E+18", "1237648720693690421.0"):
        with pytest.raises(BadCatalog, match="id column 'id' holds float"):
            check_id_texts([lost], "id", "c.csv")
    with pytest.raises(BadCatalog, match=r"such as 1.5E"):
        check_id_texts(["N1", "1.5E+18"], "id", "c.csv")


WORDS = st.text("abcXYZ019.é-+:'", min_size=1, max_size=8).filter(lambda w: w.strip("'") == w)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(WORDS, WORDS, st.integers(0, 2**64 - 1)), min_size=1, max_size=8),
    separator=st.sampled_from([",", "\t", ";", "|"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"]),
    how=st.tuples(st.sampled_from(["\n", "\r\n"]), st.booleans()),
)
def test_any_text_comes_back_to_the_last_digit(tmp_path_factory, rows, separator, encoding, how):
    end, packed = how
    lines = [separator.join(("id", "note", "number")), *(separator.join(map(str, r)) for r in rows)]
    data = end.join([*lines, ""]).encode(encoding)
    path = tmp_path_factory.mktemp("layout") / "c.csv"
    path.write_bytes(gzip.compress(data) if packed else data)
    staged = stage_table(path, path.with_suffix(".staged"), as_text=list)
    assert list(zip(*staged.read().to_pydict().values(), strict=True)) == [
        (one, two, str(number)) for one, two, number in rows
    ]


@pytest.mark.parametrize(
    "text",
    [
        "id\tra\tT\nU1\t12.5\t3\t\nU2\t13.5\t-5\t\n",
        "id;ra;T;\nU1;12.5;3;\nU2;13.5;-5;\n",
        "| id | ra | T |\n|:--|--:|---|\n| U1 | 12.5 | 3 |\n| U2 | 13.5 | -5 |\n",
        "\ufeffid,\u200bra,T\nU1,12.5,3\nU2,13.5,-5\n",
        'id,ra,T\nU1,"12,5",3\nU2,"13,5",-5\n',
    ],
)
def test_separators_rules_and_marks_that_editors_leave(tmp_path, text):
    assert read(tmp_path, "mine.txt", text)[0] == WANTED
    assert read(tmp_path, "mine.txt", text.encode("utf-32"))[0] == WANTED


def test_a_quote_that_is_not_closed_swallows_no_rows(tmp_path):
    with pytest.raises(BadCatalog, match="column 'note' has a quote that is not closed"):
        read(tmp_path, "c.csv", 'id,note\nU1,"open\nU2,x\n')
    for text in ('id,note\nU1,5" seeing\nU2,x\n', 'id,note\nU1,"two\nlines"\nU2,x\n'):
        assert read(tmp_path, "c.csv", text)[0]["id"] == ["U1", "U2"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("id,ra\na,1\nb,2,3\n", "put text with separators in quotes; where line 1 is a title"),
        ("A title\nid,ra\na,1\n", "where line 1 is a title, begin it with #"),
        ("<!DOCTYPE html><html>404</html>", "is a web page"),
        (b"\x28\xb5\x2f\xfd0000", "zstd; unpack it first"),
        (b"ARROW1\0\0", "Feather"),
        ("id,ra\na,1\n".encode("utf-16-le"), "UTF-16 without its mark: save it as UTF-8"),
    ],
)
def test_refusals_have_a_cure(tmp_path, content, words):
    with pytest.raises(BadCatalog, match=words):
        read(tmp_path, "c.csv", content)


def test_columns_of_no_use_block_no_table(tmp_path):
    columns = [fits.Column("id", "2A", array=["a", "b"]), fits.Column("z", "C", array=[1j, 2])]
    columns.append(fits.Column("flags", "3X", array=np.ones((2, 3), bool)))
    fits.BinTableHDU.from_columns(columns).writeto(tmp_path / "c.fits")
    found, staged = read(tmp_path, "c.fits", (tmp_path / "c.fits").read_bytes())
    assert found["id"] == ["a", "b"]
    assert "complex" in staged.left_out["z"]


def test_a_table_that_its_service_cut_off_says_so(tmp_path):
    cut = """<VOTABLE version="1.3"><RESOURCE type="results">
    <INFO name="QUERY_STATUS" value="OVERFLOW"/><TABLE>
    <FIELD name="id" datatype="char" arraysize="*"/>
    <DATA><TABLEDATA><TR><TD>a</TD></TR></TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"""
    found, staged = read(tmp_path, "c.xml", cut)
    assert found == {"id": ["a"]}
    assert any("rows are missing" in note for note in staged.notes)
