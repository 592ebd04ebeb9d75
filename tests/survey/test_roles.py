"""What columns of a catalogue mean: ids, positions, stages."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, Table
from PIL import Image as Pictures

from galaxy_explorer.errors import BadCatalog, SurveyError
from galaxy_explorer.survey.columns import FurtherColumns
from galaxy_explorer.survey.ingest import ingest_survey
from galaxy_explorer.survey.stamps import IngestOptions

PIXELS = np.random.default_rng(3).integers(0, 256, (4, 16, 16), dtype=np.uint8)
NAMES = ["U1", "U2", "U3", "U4"]


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, pixels in zip(NAMES, PIXELS, strict=True):
        Pictures.fromarray(pixels).save(folder / f"{name}.png")
    return folder


def ingest(source, table, **options):
    path = source.parent / "catalog.fits"
    if isinstance(table, str):
        path = path.with_suffix(".csv")
        path.write_text(table)
    else:
        hours = any(column.unit == u.hourangle for column in table.columns.values())
        path = path.with_suffix(".ecsv") if hours else path  # FITS has no such unit
        table.write(path, overwrite=True)
    out = source.parent / f"survey{len(list(source.parent.iterdir()))}"
    return ingest_survey(source, path, out, IngestOptions(**{"size": 16, **options}))


@pytest.mark.parametrize(
    ("unit", "values", "words"),
    [
        ("deg", [150.0, 30.0], None),
        ("", [150.0, 30.0], None),
        ("rad", np.deg2rad([150.0, 30.0]), "rad converted"),
        ("h", [10.0, 2.0], "h converted"),
        ("hourangle", [10.0, 2.0], "converted"),
        ("arcsec", [540000.0, 108000.0], "arcsec converted"),
    ],
)
def test_right_ascension_in_its_unit(pictures, unit, values, words):
    table = Table({"id": NAMES[:2], "ra": values, "dec": [1.0, -2.0]})
    table["ra"].unit = unit or None
    report = ingest(pictures, table)
    np.testing.assert_allclose(report.survey.column("ra"), [150.0, 30.0])
    np.testing.assert_allclose(report.survey.column("dec"), [1.0, -2.0])
    assert any(words in note for note in report.notes) if words else not report.notes


def test_an_unknown_unit_leaves_guessed_positions_out_and_refuses_given_ones(pictures):
    table = Table({"id": NAMES, "ra": [1.0] * 4 * u.Jy, "dec": [0.0] * 4 * u.deg})
    report = ingest(pictures, table)
    assert np.isnan(report.survey.column("ra")).all()
    assert np.isnan(report.survey.column("dec")).all()
    assert any("unit 'Jy'" in note for note in report.notes)
    assert report.guessed == ("galaxy_id = id",)
    with pytest.raises(BadCatalog, match=r"'ra' has the unit 'Jy'.*--ra none"):
        ingest(pictures, table, columns={"ra": "ra"})
    hours = Table({"id": NAMES, "ra": [1.0] * 4, "dec": [0.0] * 4 * u.hourangle})
    hours["dec"].unit = "h"
    with pytest.raises(BadCatalog, match="'dec' has the unit 'h'"):
        ingest(pictures, hours, columns={"dec": "dec"})


@pytest.mark.parametrize(
    ("ra", "dec"),
    [
        ("10:00:00", "-02:30:00"),
        ("10 00 00.0", "-02 30 00"),
        ("10h00m00s", "-02d30m00s"),
        ("150d00m00s", "\u221202\u00b030\u203200\u2033"),
        ("10:00", "-2:30"),
        ("150.0", "-2.5"),
    ],
)
def test_sexagesimal_positions(pictures, ra, dec):
    report = ingest(pictures, f"id,RA,Dec\nU1,{ra},{dec}\nU2,,\n")
    np.testing.assert_allclose(report.survey.column("ra"), [150.0, np.nan])
    np.testing.assert_allclose(report.survey.column("dec"), [-2.5, np.nan])


def test_positions_that_are_none(pictures):
    text = "id,ra,dec\nU1,up,1\nU2,1,1\n"
    report = ingest(pictures, text)
    assert any("row 1: 'up' is no number" in note for note in report.notes)
    with pytest.raises(BadCatalog, match="'up'"):
        ingest(pictures, text, columns={"ra": "ra"})
    report = ingest(pictures, "id,ra,dec\nU1,1,1\nU2,-999,-99\n", columns={"ra": "none"})
    assert np.isnan(report.survey.column("ra")).all()
    assert report.guessed == ("galaxy_id = id", "dec = dec")


def test_flags_and_words_of_stages(pictures):
    report = ingest(pictures, "id,T\nU1,99\nU2,-999\nU3,NA\nU4,11.4\n")
    np.testing.assert_array_equal(report.survey.column("ttype"), [np.nan, np.nan, np.nan, 11.4])
    assert any("2 values outside -6..11 taken as unknown: -999, 99" in n for n in report.notes)


def test_the_least_whole_number_of_64_bits_is_a_flag(pictures):
    least = np.iinfo(np.int64).min
    numbers = {name: np.array([1, 2, 3, least]) for name in ("ra", "dec", "T", "pixscale")}
    report = ingest(pictures, Table({"id": NAMES, **numbers}))
    for name in ("ra", "dec", "ttype"):
        np.testing.assert_array_equal(report.survey.column(name), [1, 2, 3, np.nan])
    assert any("taken as unknown: -9.22337e+18" in note for note in report.notes)


def test_hubble_types_and_another_word(pictures):
    report = ingest(pictures, "id,T\nU1,SB(rs)bc\nU2,E3\nU3,?\nU4,-2\n")
    np.testing.assert_array_equal(report.survey.column("ttype"), [4, -5, np.nan, -2])
    assert any("Hubble types read as stages" in note for note in report.notes)
    report = ingest(pictures, "id,T\nU1,Pec\nU2,E\nU3,99\n")
    assert "ttype = T: Hubble types read as stages T (E)" in report.notes
    assert any("or without a stage taken as unknown: 99, Pec" in note for note in report.notes)
    report = ingest(pictures, "id,T\nU1,1\nU2,\nU3,dunno\nU4,0\n")
    np.testing.assert_array_equal(report.survey.column("ttype"), [1, np.nan, np.nan, 0])
    assert any("taken as unknown: dunno" in note for note in report.notes)


def test_a_column_without_any_stage_is_refused_where_it_was_named(pictures):
    words = "id,T\nU1,red\nU2,\nU3,blue\nU4,red\n"
    with pytest.raises(BadCatalog, match=r"column 'T', row 1: 'red'.*--ttype none"):
        ingest(pictures, words, columns={"ttype": "T"})
    assert any(
        note.startswith("ttype not used: column 'T'") for note in ingest(pictures, words).notes
    )


def test_masked_stages_are_unknown_and_the_others_exact(pictures):
    stages = MaskedColumn([3, 0, -5, 7], mask=[False, True, False, True], dtype=np.int16)
    report = ingest(pictures, Table({"id": NAMES, "T": stages}))
    np.testing.assert_array_equal(report.survey.column("ttype"), [3, np.nan, -5, np.nan])


def renamed(pictures, names):
    for old, new in zip(NAMES, names, strict=False):
        (pictures / f"{old}.png").rename(pictures / f"{new}.png")


@pytest.mark.parametrize(
    "ids",
    [
        ["0012", "0013", "12", "1e5"],
        [str(2**64 - 1), str(2**63), str(2**63 + 1), "1"],
        ["1237648720693690421", "1237648720693690422", "", "5"],
        ["nan", "null", "NA", "-"],
    ],
)
def test_ids_are_text_from_the_first_byte(pictures, ids):
    renamed(pictures, [name or "U9" for name in ids])
    report = ingest(pictures, "id\n" + "".join(f'"{name}"\n' for name in ids))
    assert report.survey.column("galaxy_id").tolist() == [name for name in ids if name]


def test_ids_of_numbers(pictures):
    exact = np.array([2**64 - 1, 2**64 - 2, 3, 4], np.uint64)
    renamed(pictures, exact)
    report = ingest(pictures, Table({"id": exact}))
    assert report.survey.column("galaxy_id").tolist() == [str(number) for number in exact]
    with pytest.raises(BadCatalog, match=r"id column 'id' holds float.*integers or text"):
        ingest(pictures, Table({"id": exact.astype(float)}))
    with pytest.raises(BadCatalog, match="holds float"):
        ingest(pictures, Table({"id": [1.5, 2.0, 3.0, 4.0]}))


@pytest.mark.parametrize(("kind", "bits"), [(np.float32, 24), (np.float64, 53)])
def test_ids_are_exact_to_what_their_type_holds(pictures, tmp_path, kind, bits):
    renamed(pictures, [str(2**bits - 1 - i) for i in range(4)])
    for source in (pictures, tmp_path / "c.npz"):
        for beyond in (0, 1):
            ids = (2**bits - 1 + beyond - np.arange(4)).astype(kind)
            np.savez(tmp_path / "c.npz", images=FLUX, id=ids)
            table = Table({"id": ids if source == pictures else ids.astype(np.int64)})
            if beyond:
                with pytest.raises((BadCatalog, SurveyError), match=f"such as {2**bits}, exact"):
                    ingest(source, table)
            else:
                assert len(ingest(source, table).survey) == 4


def test_whole_floats_are_integers(pictures):
    renamed(pictures, ["7", "8", "9", "10"])
    for table in (Table({"id": [7.0, 8.0, np.nan, 10.0]}), "id,x\n7.0,1\n8.0,1\n,1\n10.0,1\n"):
        report = ingest(pictures, table)
        assert report.survey.column("galaxy_id").tolist() == ["7", "8", "10"]
        assert any("whole numbers as floats" in note for note in report.notes)


FLUX = np.random.default_rng(5).normal(100, 3, (4, 16, 16)).astype(np.float32)
ORDER = [2, 0, 3, 1]


@pytest.mark.parametrize(
    ("name", "ids", "words"),
    [
        ("OBJID", np.array(NAMES), "ids in the array OBJID"),
        ("objid", np.array(NAMES, "S4"), "ids in the array objid"),
        ("what", np.array(NAMES, "S9"), "values of the array what"),
    ],
)
def test_stamps_of_a_cube_go_by_ids(tmp_path, name, ids, words):
    source = tmp_path / "c.npz"
    np.savez(source, images=FLUX[ORDER], z=np.arange(4.0), **{name: ids[ORDER]})
    report = ingest(source, "objid\n" + "\n".join(NAMES))
    np.testing.assert_array_equal(report.survey.stamps()[:, 0], FLUX)
    assert any(words in note for note in report.notes)


def test_numbers_of_a_cube_to_the_last_digit(tmp_path):
    source, ids = tmp_path / "c.npz", np.array([2**64 - k for k in (1, 2, 300, 4)], np.uint64)
    np.savez(source, images=FLUX[ORDER], number=ids[ORDER])
    report = ingest(source, "id\n" + "\n".join(map(str, ids)))
    np.testing.assert_array_equal(report.survey.stamps()[:, 0], FLUX)
    np.savez(source, images=FLUX, id=ids.astype(float))
    with pytest.raises(SurveyError, match="'id' holds float"):
        ingest(source, "id\n" + "\n".join(map(str, ids)))


def test_row_by_row_is_asked_for_or_without_another_way(tmp_path):
    source = tmp_path / "c.npz"
    np.savez(source, images=FLUX, tag=np.array(["a", "b", "c", "d"]))
    text = "id\n" + "\n".join(NAMES)
    with pytest.raises(SurveyError, match=r"a value for each stamp: tag\).*--by-row"):
        ingest(source, text)
    report = ingest(source, text, by_row=True)
    assert "stamps by position, row by row; arrays not used: tag" in report.notes
    np.save(tmp_path / "c.npy", FLUX)
    report = ingest(tmp_path / "c.npy", text)
    assert any("row by row" in note for note in report.notes)
    with pytest.raises(SurveyError, match=r"as many of both|catalogue rows"):
        ingest(tmp_path / "c.npy", "id\nU1\n", by_row=True)


def test_two_stamps_of_one_id_are_refused(tmp_path):
    source = tmp_path / "c.npz"
    np.savez(source, images=FLUX, id=np.array(["U1", "U1", "U3", "U4"]))
    report = ingest(source, "id\nU1\nU3\nU4\n")
    assert report.accepted == 2
    assert "several stamps of this id" in report.rejects.read_text()


@pytest.mark.parametrize(
    ("names", "values"),
    [
        (("RA (deg)", "Dec [deg]"), ("150.0", "2.0")),
        (("RA(rad)", "DEC(rad)"), ("2.61799387799", "0.0349065850399")),
        (("RA_hours", "dec"), ("10.0", "2.0")),
        (("_RAJ2000", "_DEJ2000"), ("150.0", "2.0")),
        (("RAdeg", "DEdeg"), ("150.0", "2.0")),
        (("ra", "dec"), ("10 00 00", "+02 00 00")),
        (("RA (J2000)", "Dec (J2000)"), ("10:00:00", "+02:00:00")),
        (("RA (ICRS)", "Dec (ICRS)"), ("150.0", "2.0")),
        (("ra", "dec"), ("1.5D+02", "2.0")),
        (("ra", "dec"), ("0150.0", "02.0")),
    ],
)
def test_positions_by_the_names_and_units_people_write(pictures, names, values):
    report = ingest(pictures, f"id,{','.join(names)}\nU1,{','.join(values)}\n")
    assert report.guessed[1:] == (f"ra = {names[0]}", f"dec = {names[1]}")
    np.testing.assert_allclose(report.survey.column("ra"), [150.0])
    np.testing.assert_allclose(report.survey.column("dec"), [2.0])


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("id,ra_b1950,dec_b1950\nU1,150,2\n", r"'ra_b1950' is of B1950; convert it"),
        ("id,ra_b1950,dec_b1950\nU1,10:00:00,10.5\n", "B1950"),
        ("id,ra_b1950,dec_b1950\nU1,1_0,2\n", "B1950"),
    ],
)
def test_positions_of_another_equinox_are_refused(pictures, table, words):
    columns = {"ra": "ra_b1950", "dec": "dec_b1950"}
    with pytest.raises(BadCatalog, match=words):
        ingest(pictures, table, columns=columns)


def test_hours_and_degrees_in_one_column_are_refused(pictures):
    mixed = "id,ra,dec\nU1,10:00:00,+02:00:00\nU2,10.5,2\n"
    with pytest.raises(BadCatalog, match=r"'10.5' among hh:mm:ss: hours or degrees\?"):
        ingest(pictures, mixed, columns={"ra": "ra"})
    plain = ingest(pictures, mixed.replace("10.5", "157.5"))
    np.testing.assert_allclose(plain.survey.column("ra"), [150.0, 157.5])
    with pytest.raises(BadCatalog, match="'1_0' is no number"):
        ingest(pictures, "id,ra,dec\nU1,1_0,2\n", columns={"ra": "ra"})


def test_degrees_that_look_like_radians_or_hours_are_doubted(pictures):
    for rows, doubt in (
        ("U1,2.61,-0.04\nU2,0.1,1.2\n", "radians"),
        ("U1,23.5,-40\nU2,0.1,55\n", "hours"),
        ("U1,150,-40\nU2,0.1,55\n", None),
    ):
        report = ingest(pictures, f"id,ra,dec\n{rows}")
        said = [one for one in report.inventory.doubts() if f"{doubt}? name the unit" in one]
        assert len(said) == (doubt is not None), report.inventory.doubts()


def test_a_scale_in_the_catalogue_that_the_header_contradicts_is_said(pictures):
    from astropy.io import fits

    header = fits.Header({"PIXSCALE": 0.262})
    fits.writeto(pictures / "F1.fits", PIXELS[0].astype("f4"), header)
    taken = [
        ingest(pictures, f"id,pixscale\nF1,{scale}\n").survey.column("taken")[0]
        for scale in (0.262, 0.4)
    ]
    assert "the catalogue has another" not in taken[0]
    assert "the catalogue has another" in taken[1]


def test_bytes_that_became_text_and_degrees_that_are_hours_are_refused(pictures):
    with pytest.raises(BadCatalog, match=r"'id' holds Python's bytes such as b'U1'; decode"):
        ingest(pictures, "id\nb'U1'\nb'U2'\n")
    table = Table({"id": ["U1"], "ra": ["10:00:00"], "dec": ["+02:00:00"]})
    table["ra"].unit = table["dec"].unit = "deg"
    with pytest.raises(BadCatalog, match="'ra' holds hh:mm:ss, but its unit or name says deg"):
        ingest(pictures, table, columns={"ra": "ra"})
    table["ra"].unit = "h:m:s"
    np.testing.assert_allclose(ingest(pictures, table).survey.column("ra"), [150.0])


@pytest.mark.parametrize(
    ("column", "unit"),
    [("ra_dms", ""), ("RA (dms)", ""), ("ra", "d:m:s"), ("ra", '"dd:mm:ss"'), ("RA_ddmmss", "")],
)
def test_hours_in_a_column_of_degrees_minutes_and_seconds_are_refused(pictures, column, unit):
    tables = [Table({"id": ["U1"], column: [ra], "dec": [1.0]}) for ra in ("10:30:00", "10d30m00s")]
    for table in tables:
        table[column].unit = u.Unit(unit, parse_strict="silent") if unit else None
    roles = {"ra": column, "dec": "dec"}
    with pytest.raises(BadCatalog, match="holds hh:mm:ss, but its unit or name says degrees"):
        ingest(pictures, tables[0], columns=roles)
    report = ingest(pictures, tables[1], columns=roles)
    assert report.survey.column("ra").tolist() == [10.5]
    assert f"ra = {column}: sexagesimal (degrees) converted" in report.notes


def test_pixel_scales_in_degrees_are_not_taken_for_arcsec(pictures):
    tiny = "id,pixscale\nU1,7.3e-5\n"
    note = "pixel_scale not used: column 'pixscale' has 7.3e-05 where arcsec a pixel"
    assert any(one.startswith(note) for one in ingest(pictures, tiny).notes)
    with pytest.raises(BadCatalog, match="call it pixscale_deg"):
        ingest(pictures, tiny, columns={"pixel_scale": "pixscale"})
    said = ingest(pictures, tiny.replace("pixscale", "pixscale_deg")).survey
    np.testing.assert_allclose(said.column("stamp_pixel_scale_arcsec"), [0.2628])


@pytest.mark.parametrize("text", [True, False])
def test_a_pixel_scale_that_is_not_above_zero_is_unknown(pictures, text):
    scales = np.array([0.4, -99.0, 0.0, np.nan])
    report = ingest(
        pictures, Table({"id": NAMES, "pixscale": scales.astype(str if text else float)})
    )
    scales = report.survey.column("stamp_pixel_scale_arcsec")
    np.testing.assert_allclose(scales, [0.4, np.nan, np.nan, np.nan])
    taken = report.survey.column("taken").tolist()
    assert ["scale by the catalogue" in one for one in taken] == [True, False, False, False]
    assert "0.4 arcsec/px; 3 rows without" in "\n".join(report.inventory.lines())


def test_what_is_undefined_is_no_position_and_no_pixel_scale(pictures):
    values = {"ra": [1.0, 2.0, 3.0], "dec": [1.0, 0.5, 2.0], "pixscale": [0.4, 2.0, 0.5]}
    table = Table({"id": NAMES[:3], **values})
    report = ingest(pictures, table, further=FurtherColumns(undefined=2))
    for name in ("ra", "dec"):
        np.testing.assert_allclose(report.survey.column(name), [1, np.nan, np.nan])
    scales = report.survey.column("stamp_pixel_scale_arcsec")
    np.testing.assert_allclose(scales, [0.4, np.nan, 0.5])
    said = "\n".join(report.inventory.lines())
    assert "2 taken as unknown: pixscale (1), ra (1), dec (1)" in said
