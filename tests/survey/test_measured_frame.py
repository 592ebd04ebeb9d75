"""Framing by measured size, and rows of several sources that show one galaxy."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import Table
from PIL import Image as Pictures
from scipy import ndimage

from galaxy_explorer.errors import BadCatalog, BadImage, SettingError, SurveyError
from galaxy_explorer.survey.catalog import all_rows, stage_catalog
from galaxy_explorer.survey.check import check_source
from galaxy_explorer.survey.columns import FurtherColumns
from galaxy_explorer.survey.ingest import ingest_survey, settled_columns
from galaxy_explorer.survey.names import SeenNames
from galaxy_explorer.survey.photometry import fit_tone, tone_difference
from galaxy_explorer.survey.preprocessing import (
    RADII_A_HALF_SIDE,
    ArcsinhStretch,
    find_frame,
    fit_stamp,
    measured_frame,
    split_of,
)
from galaxy_explorer.survey.repeats import SameGalaxies, shared_galaxies
from galaxy_explorer.survey.stamps import IngestOptions


def disc(side: int, scale: float, axis_ratio: float = 1.0, angle: float = 0.5) -> np.ndarray:
    """A stretched exponential disc (side, side) with a star beside it, without noise."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    along, beside = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    light = np.exp(-np.hypot(along, beside / axis_ratio) / scale)
    star = np.exp(-((x - 0.4 * side) ** 2 + (y - 0.4 * side) ** 2) / (2 * (side / 90) ** 2))
    return np.arcsinh(40 * light + 5 * star) / np.arcsinh(40)


def test_the_radius_is_where_a_ring_is_half_as_bright_as_the_mean_within():
    found = measured_frame(disc(200, 14.0))
    r = np.linspace(1e-3, 100, 20001)
    light = np.arcsinh(40 * np.exp(-r / 14.0)) / np.arcsinh(40)
    within = np.cumsum(light * r) / np.cumsum(r)
    expected = r[np.argmax(light / within < 0.5)]
    assert found.radius == pytest.approx(expected, rel=0.03)
    assert found.side == round(2 * RADII_A_HALF_SIDE * found.radius)
    assert found.axis_ratio == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("axis_ratio", [0.3, 0.6, 1.0])
def test_one_galaxy_at_two_scales_and_in_two_cuts_gets_the_same_frame(axis_ratio):
    fine = disc(240, 20.0, axis_ratio)
    coarse = ndimage.zoom(fine, 0.4, order=1, grid_mode=True, mode="nearest")
    cut = fine[20:-20, 20:-20]
    wide, small, near = (measured_frame(image) for image in (fine, coarse, cut))
    assert small.radius / 0.4 == pytest.approx(wide.radius, rel=0.05)
    assert near.radius == pytest.approx(wide.radius, rel=0.03)
    for found in (wide, small):
        assert found.axis_ratio == pytest.approx(axis_ratio, abs=0.08)
    stamps = [
        fit_stamp(image[None].astype(np.float32), 64, frame="measured", linear=False)[0]
        for image in (fine, coarse)
    ]
    assert np.corrcoef(stamps[0].ravel(), stamps[1].ravel())[0, 1] > 0.98
    whole = fit_stamp(fine[None].astype(np.float32), 64, frame="whole", linear=False)[0]
    assert np.corrcoef(whole.ravel(), stamps[0].ravel())[0, 1] < 0.95


def test_a_picture_that_ends_within_its_frame_is_taken_whole_and_says_so():
    image = disc(200, 14.0, 0.5)
    inner = image[70:-70, 70:-70]
    whole, tight = measured_frame(image), measured_frame(inner)
    assert whole.wanted < 1
    assert tight.side == 60
    assert tight.wanted > 1.1
    # One that fills its picture in all directions leaves no sky: it passes for one that just fits.
    assert measured_frame(disc(200, 14.0)[70:-70, 70:-70]).wanted == pytest.approx(1, abs=0.03)
    flat = measured_frame(np.full((40, 50), 0.3))
    assert (flat.side, np.isnan(flat.radius)) == (40, True)


def test_linear_data_are_measured_as_they_look_stretched():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:160, :160] - 79.5
    flux = (800 * np.exp(-np.hypot(x, y) / 9.0) + 1000 + rng.normal(0, 3, x.shape))[None]
    for unit in (1.0, 1e-9):
        image = (flux * unit).astype(np.float32)
        found = find_frame(image, 64, frame="measured", linear=True)
        shown = ArcsinhStretch().apply(flux, [1000.0], [3.0])[0]
        assert found.radius == pytest.approx(measured_frame(shown).radius, rel=0.05)


def picture(path, values):
    Pictures.fromarray(np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)).save(path)


@pytest.fixture
def sources(tmp_path):
    """Two renderings: in the second, each galaxy is larger in its picture and fainter."""
    rng = np.random.default_rng(3)
    scales, ratios = rng.uniform(4, 7, 30), rng.uniform(0.4, 1, 30)
    for name, zoom, gain in (("near", 1.5, 0.8), ("far", 1.0, 1.0)):
        (tmp_path / name).mkdir()
        for i, (scale, ratio) in enumerate(zip(scales, ratios, strict=True)):
            image = gain * disc(90, zoom * scale, ratio, i)
            picture(tmp_path / name / f"{name}{i}.png", np.stack([image, image, image / 2], -1))
    (tmp_path / "far.csv").write_text(
        "name,kind,T,lo,hi,arms\n"
        + "".join(f"far{i},Sb,3,{2 if i % 2 else 8},{4 if i % 2 else 9},-1\n" for i in range(30))
    )
    (tmp_path / "near.csv").write_text(
        "name,other,T,class5,ttype_lo,ttype_hi\n"
        + "".join(f"near{i},far:far{i},-1,spiral,-1,0\n" for i in range(29))
        + "near29,,-1,,-2,-1\n"
    )
    return tmp_path


def run(folder, name, *, append=False, further=None, **options):
    options = {"size": 32, "band": "rgb", "band_name": "i,r,g", "frame": "measured", **options}
    return ingest_survey(
        folder / name,
        folder / f"{name}.csv",
        folder / "survey",
        IngestOptions(append=append, further=further or FurtherColumns(), **options),
    )


def both(folder):
    further = FurtherColumns(
        {"ttype_lo": "lo", "ttype_hi": "hi", "arm_strength": "arms"},
        {"ttype_source": "words"},
        undefined=-1,
        ttype_error=1.5,
    )
    first = run(folder, "far", columns={"ttype": "T"}, further=further, rendering="plain")
    further = FurtherColumns({"class": "class5"}, undefined=-1)
    roles = {"ttype": "T", "same_as": "other"}
    return first, run(folder, "near", append=True, columns=roles, further=further)


def test_sources_with_columns_of_their_own_become_one_survey(sources):
    first, second = both(sources)
    survey = second.survey
    column = survey.column
    assert survey.meta["frame"] == "measured"
    assert column("rendering").tolist() == ["plain"] * 30 + ["near"] * 30
    assert column("ttype").tolist() == [3.0] * 30 + [-1.0] * 30
    # Limits that do not enclose T give way to the error; those of T may be -1 themselves.
    assert column("ttype_lo")[:30].tolist() == [1.5, 2.0] * 15
    assert column("ttype_hi")[:30].tolist() == [4.5, 4.0] * 15
    assert column("ttype_lo")[30:].tolist() == [-1.0] * 29 + [-2.0]
    assert "15 T without limits that enclose them: 1.5 was taken" in first.notes
    assert np.isnan(column("arm_strength")).all()
    assert column("class")[29:31].tolist() == ["", "spiral"]
    assert column("ttype_source")[29:31].tolist() == ["words", ""]
    assert column("same_as")[30] == "far:far0"
    sides = column("measured_radius_px")
    assert sides[30:] / sides[:30] == pytest.approx(1.5, rel=0.15)
    stamps = survey.stamps()
    pairs = zip(stamps[:30], stamps[30:], strict=True)
    alike = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in pairs]
    assert min(alike) > 0.95
    assert any("of 60 pictures framed by measured size" in words for words in survey.taken_words)


def far_options(**given) -> IngestOptions:
    further = FurtherColumns({"ttype_lo": "lo", "arm_strength": "arms"}, {"by": "me"}, undefined=-1)
    given = {"columns": {"ttype": "T"}, "further": further, **given}
    return IngestOptions(size=32, band="rgb", band_name="i,r,g", frame="measured", **given)


def test_a_check_says_what_is_framed_how_what_is_renamed_and_what_is_the_same(sources):
    roles = {"ttype": "T", "same_as": "other"}
    tight = disc(200, 14.0, 0.5)[70:-70, 70:-70]
    picture(sources / "near" / "near3.png", np.stack([tight] * 3, -1))
    dark = 1 - np.stack([disc(60, 8.0)] * 3, -1)  # no light at the centre
    picture(sources / "near" / "near4.png", dark)
    with (sources / "near.csv").open("a") as rows:
        rows.write("near30,near0,-1,,,\n")
    Pictures.open(sources / "near" / "near5.png").save(sources / "near" / "near30.png")
    near = (sources / "near", sources / "near.csv")
    found = check_source(*near, far_options(columns=roles, further=FurtherColumns()))
    radii = found.to_dict()["framed"]
    assert radii == {"measured": 29, "picture_ends": 1, "no_radius": 1}
    assert found.to_dict()["same_as"] == {"joined": 1, "absent": 29}
    said = "\n".join(found.lines())
    assert "29 of 31 pictures framed by measured size; 1 end within their frame, 1 show no" in said
    assert "1.05 x the measured radius of the central galaxy (" in said
    assert "same as     other: 30 rows name another that shows the same galaxy" in said
    assert "1 rows show one that an earlier row shows" in said
    assert "29 rows name a row of another source or of none" in said
    # What it says is what an ingest finds, among the rows that are there then.
    asked = far_options(columns=roles, further=FurtherColumns())
    alone = ingest_survey(*near, sources / "a", asked).inventory
    assert [alone.to_dict()[key] for key in ("framed", "same_as")] == [
        found.to_dict()[key] for key in ("framed", "same_as")
    ]
    assert "29 rows name a row that is not in the survey" in "\n".join(alone.lines())
    first = ingest_survey(sources / "far", sources / "far.csv", sources / "b", far_options())
    more = far_options(columns=roles, append=True, further=FurtherColumns())
    joined = ingest_survey(*near, sources / "b", more).inventory
    assert joined.same == (30, 0)
    said = "\n".join(first.inventory.lines())
    assert "renamed     ttype_lo is lo, arm_strength is arms" in said
    assert "kept        as they are: kind, hi" in said
    assert "added       by: 'me' in every row" in said
    assert "-1 taken as unknown: arms (30)" in said
    assert (
        first.inventory.catalog
        == check_source(sources / "far", sources / "far.csv", far_options()).catalog
    )


def test_a_galaxy_that_is_in_a_survey_twice_is_found_by_its_key(sources):
    survey = both(sources)[1].survey
    twice = shared_galaxies(survey, survey)
    assert twice.rows.tolist() == [[i, 30 + i] for i in range(29)]
    assert twice.words == "29 by same_as"


def test_whole_numbers_keep_their_digits_beside_one_that_means_unknown():
    exact = 2**60 + 1
    found = FurtherColumns(undefined=-1).known("x", pa.chunked_array([[exact, -1, None]]))
    assert found.to_pylist() == [exact, None, None]
    words = pa.chunked_array([["-1", "a"]])
    assert FurtherColumns(undefined=-1).known("x", words) is words
    limits = pa.chunked_array([[-1.0, 2.0]])
    assert FurtherColumns(undefined=-1).known("ttype_lo", limits) is limits


def test_ids_of_other_rows_are_read_as_ids_are(tmp_path):
    table = Table({"name": [1.0, 2.0, 3.0], "same_as": [np.nan, 1.0, 2.0]})
    table.write(tmp_path / "c.fits")
    catalog = stage_catalog(tmp_path / "c.fits", tmp_path / "staged.parquet", {})
    columns = settled_columns(catalog, tmp_path / "c.fits", IngestOptions())
    rows = list(all_rows(catalog, columns))
    assert [(row.galaxy_id, row.same_as) for row in rows] == [("1", ""), ("2", "1"), ("3", "2")]


def test_rows_of_one_galaxy_come_to_one_side_of_the_split(sources):
    survey = both(sources)[1].survey
    split, ids = survey.column("split"), survey.column("galaxy_id")
    assert (split[30:59] == split[:29]).all()
    assert split[59] == split_of("near29")
    assert split[:30].tolist() == [split_of(name) for name in ids[:30]]
    # By their own ids they would not have.
    assert any(split_of(f"near{i}") != split_of(f"far{i}") for i in range(29))


def keys(sources, rows):
    """Keys of rows (id, same as) as they come."""
    seen = SeenNames()
    galaxies = SameGalaxies(sources, seen)
    found = []
    for name, same_as in rows:
        seen.add(name)
        found.append(galaxies.key(name, same_as))
    return found, galaxies


def test_rows_that_name_each_other_have_one_key_whatever_the_order():
    assert keys(["far", "near"], [("b", ""), ("a", "far:b"), ("c", "a")])[0] == ["b"] * 3
    assert keys(["far"], [("a", "b"), ("b", ""), ("c", "b"), ("d", "a")])[0] == ["a"] * 4
    assert keys(["far"], [("a", "b"), ("b", "a"), ("c", "c")])[0] == ["a", "a", "c"]
    # Of a galaxy of a survey that is not here, or not yet.
    assert keys(["near"], [("a", "gone:9"), ("b", ""), ("c", "gone:9")])[0] == ["a", "b", "a"]
    assert keys(["gone"], [("a", ""), ("b", "gone:a")])[0] == ["a", "a"]


def test_what_a_survey_holds_is_known_when_another_source_is_appended():
    seen = SeenNames()
    later = SameGalaxies(["near", "far"], seen)
    for row in (("x", "far:7", "x"), ("y", "", "y"), ("z", "near:y", "y")):
        seen.add(row[0])
        later.remember(*row)
    assert later.key("7", "") == "x"
    seen.add("7")
    assert later.key("8", "7") == "x"
    assert later.key("9", "near:z") == "y"
    later.remember("m", "n", "m")
    with pytest.raises(BadImage, match="ingest this source first"):
        later.key("n", "y")  # two galaxies, each with its split


def test_a_source_without_the_columns_is_refused_with_the_cure(sources):
    with pytest.raises(BadCatalog, match=r"'low' for ttype_lo; correct --column ttype_lo=low"):
        run(sources, "far", further=FurtherColumns({"ttype_lo": "low"}))
    with pytest.raises(BadCatalog, match=r"'T' is the ttype already; leave out"):
        run(sources, "far", columns={"ttype": "T"}, further=FurtherColumns({"stage": "T"}))
    with pytest.raises(BadCatalog, match=r"'lo' is the low already; leave out --column lower=lo"):
        run(sources, "far", further=FurtherColumns({"low": "lo", "lower": "lo"}))
    pq.write_table(pa.table({"name": ["far0"], "votes": [[1, 2]]}), sources / "votes.parquet")
    asked = far_options(columns={}, further=FurtherColumns({"v": "votes"}))
    with pytest.raises(BadCatalog, match=r"'votes' is .*; leave out --column v=votes"):
        check_source(sources / "far", sources / "votes.parquet", asked)
    with pytest.raises(BadCatalog, match="rendering is made by the ingest"):
        run(sources, "far", further=FurtherColumns({"rendering": "kind"}))
    with pytest.raises(BadCatalog, match="no column 'twin'"):
        run(sources, "far", columns={"same_as": "twin"})
    assert not (sources / "survey").exists()


def test_frames_of_two_kinds_do_not_mix(sources):
    run(sources, "far", columns={"ttype": "T"})
    with pytest.raises(SurveyError, match="frame is measured, the new source has of each source"):
        run(sources, "near", append=True, frame="whole")


def rendered(image: np.ndarray) -> np.ndarray:
    """Stamps (n, C, S, S) as somebody else shows them: brighter sky, other colours, a gamma."""
    red, green, blue = (image[:, band] for band in range(3))
    mixed = np.stack([0.8 * red + 0.2 * green, green, 0.7 * blue + 0.3 * red], axis=1)
    return (0.1 + 0.85 * np.clip(mixed, 0, 1) ** 0.7).astype(np.float32)


def test_a_tone_map_learns_another_rendering_from_galaxies_in_both():
    rng = np.random.default_rng(2)
    shades = rng.uniform(0.3, 1, (60, 3, 1, 1))
    light = np.stack([disc(32, s, 0.7, s) for s in rng.uniform(3, 7, 60)])[:, None] * shades
    stamps = light.astype(np.float32)
    other = rendered(stamps)
    tone = fit_tone(other[:40], stamps[:40])
    after = tone.apply(other[40:])
    assert tone_difference(other[40:], stamps[40:]) > 0.3
    assert tone_difference(after, stamps[40:]) < 0.01
    assert after.dtype == np.float32
    assert 0 <= after.min() <= after.max() <= 1
    # Galaxies paired with others teach nothing of the kind.
    wrong = fit_tone(other[:40], stamps[np.roll(np.arange(40), 1)])
    assert tone_difference(wrong.apply(other[40:]), stamps[40:]) > 0.03


def write_survey(path, name, stamps, ids, same_as=None):
    """An 8-bit survey, ingested from pictures as they are."""
    folder = path.parent / name
    folder.mkdir()
    for galaxy, stamp in zip(ids, stamps, strict=True):
        picture(folder / f"{galaxy}.png", np.moveaxis(stamp, 0, -1))
    lines = [f"{galaxy},{same}" for galaxy, same in zip(ids, same_as or ids, strict=True)]
    (path.parent / f"{name}.csv").write_text("\n".join(["id,twin", *lines]))
    return folder, path.parent / f"{name}.csv"


def test_a_source_is_made_to_look_like_the_survey_that_it_is_appended_to(tmp_path):
    rng = np.random.default_rng(5)
    shades = rng.uniform(0.3, 1, (150, 3, 1, 1))
    light = np.stack([disc(32, s, 0.7, s) for s in rng.uniform(3, 7, 150)])[:, None] * shades
    stamps = light.astype(np.float32)
    options = {"size": 32, "band": "rgb"}
    ids = [f"g{i}" for i in range(100)]
    out = tmp_path / "all"
    own = write_survey(tmp_path / "a", "plain", stamps[:100], ids)
    ingest_survey(*own, out, IngestOptions(**options))
    twins = write_survey(
        tmp_path / "b", "twins", rendered(stamps[:100]), [f"t{i}" for i in ids], ids
    )
    repeats = tmp_path / "repeats"
    ingest_survey(*twins, repeats, IngestOptions(columns={"same_as": "twin"}, **options))
    more = write_survey(
        tmp_path / "c", "more", rendered(stamps[100:]), [f"m{i}" for i in range(50)]
    )
    with pytest.raises(SettingError, match="appended"):
        IngestOptions(repeats=str(repeats), **options)
    asked = IngestOptions(append=True, repeats=str(repeats), **options)
    report = ingest_survey(*more, out, asked)
    assert any("rendered like" in note for note in report.notes)
    made = report.survey.stamps(np.arange(100, 150))
    assert (
        tone_difference(made, stamps[100:])
        < 0.01
        < tone_difference(rendered(stamps[100:]), stamps[100:])
    )
    facts = report.survey.meta["sources"][1]["tone"]
    assert facts["after"] < 0.01 < facts["before"]
    assert facts["learnt"] + facts["tested"] == 100
    np.testing.assert_allclose(report.survey.stamps(np.arange(100)), stamps[:100], atol=0.003)
    asked = IngestOptions(append=True, repeats=str(out), source_name="x", **options)
    with pytest.raises(SurveyError, match="is the survey that is appended to"):
        ingest_survey(*own, out, asked)
    strangers = tmp_path / "strangers"
    ingest_survey(*more, strangers, IngestOptions(source_name="y", **options))
    asked = IngestOptions(append=True, repeats=str(strangers), source_name="z", **options)
    with pytest.raises(SurveyError, match=r"0 by same_as, 0 by position\); at least 50"):
        ingest_survey(*own, repeats, asked)


def test_a_value_that_is_no_stage_in_this_catalogue_leaves_t_and_class_unknown(sources):
    table = (sources / "far.csv").read_text().replace("far3,Sb,3", "far3,Sb,11")
    (sources / "far.csv").write_text(table)
    further = FurtherColumns(no_ttype=11, ttype_error=1.0)
    survey = run(sources, "far", columns={"ttype": "T"}, further=further).survey
    known = np.isfinite(survey.column("ttype"))
    assert np.flatnonzero(~known).tolist() == [3]
    assert np.array_equal(survey.column("ttype_class") >= 0, known)
    assert np.array_equal(np.isfinite(survey.column("ttype_lo")), known)
