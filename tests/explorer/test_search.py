"""Searches: what is understood, and that the answer is the one of a plain loop."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest
from astropy.coordinates import SkyCoord
from hypothesis import given
from hypothesis import strategies as st

from galaxy_explorer.bundle.bundle import Bundle
from galaxy_explorer.bundle.catalogue import Catalogue
from galaxy_explorer.bundle.names import normal
from galaxy_explorer.errors import BadQuery
from galaxy_explorer.explorer.search import (
    ColumnCondition,
    Cone,
    Query,
    find,
    parse_position,
    parse_query,
)
from galaxy_explorer.explorer.wording import format_position

POSITIONS = {
    "12:30:00 -00:30:00": (187.5, -0.5),
    "12h30m00s -00d30m00s": (187.5, -0.5),
    "12 30 00.0 -00 30 00": (187.5, -0.5),
    "187.5 -0.5": (187.5, -0.5),
    "187.5, -0.5": (187.5, -0.5),
    "187.5 +0.5": (187.5, 0.5),
    "23:59:59.9 +00:00:01": (359.99958333, 0.00027778),
    "-0.5 10": (359.5, 10.0),
    "187.5° 0.5°": (187.5, 0.5),
    "187.5°, −0.5°": (187.5, -0.5),
    "12:30:00 −00:30:00": (187.5, -0.5),
    "12h 30m 00.0s, - 00° 30′ 00″": (187.5, -0.5),
    "12h 30m 00.0s, +00° 30′ 00″": (187.5, 0.5),
    '12 30 00 +41 16 09"': (187.5, 41.26916667),
    "187d30m00s +00d30m00s": (187.5, 0.5),
    "RA = 187.5, Dec = -0.5": (187.5, -0.5),
    "00:00:00 -90:00:00": (0.0, -90.0),
}
RADII = {"5'": 5.0, "5 arcmin": 5.0, '30"': 0.5, "30 arcsec": 0.5, "1.5deg": 90.0, "r=2 deg": 120.0}


class Sky:
    """A bundle of positions alone."""

    def __init__(self, ra, dec):
        self.catalogue = Catalogue.of(pa.table({"ra": pa.array(ra, pa.float64()), "dec": dec}))
        self.column_names = self.catalogue.column_names
        self.count = len(ra)

    def __len__(self):
        return self.count


@pytest.mark.parametrize("text", POSITIONS)
def test_positions_are_read_with_their_sign(text: str) -> None:
    cone = parse_query(text).cone
    assert (cone.ra, cone.dec) == pytest.approx(POSITIONS[text], abs=1e-6)
    assert cone.radius_arcmin == 2.0


@pytest.mark.parametrize("radius", RADII)
@pytest.mark.parametrize("place", ["12:30:00 -00:30:00", "187.5 -0.5"])
def test_a_radius_may_follow(place: str, radius: str) -> None:
    cone = parse_query(f"{place} {radius}").cone
    assert (cone.ra, cone.dec) == pytest.approx((187.5, -0.5))
    assert cone.radius_arcmin == pytest.approx(RADII[radius])


@given(st.floats(0, 359.999), st.floats(-89.9, 89.9))
def test_a_position_written_by_astropy_is_read_back(ra: float, dec: float) -> None:
    place = SkyCoord(ra, dec, unit="deg")
    text = place.to_string("hmsdms", sep=":", precision=3)
    cone = parse_position(text)
    read = SkyCoord(cone.ra, cone.dec, unit="deg")
    assert read.separation(place).arcsec < 0.02


@given(st.floats(0, 359.99), st.floats(-89.9, 89.9))
def test_a_position_is_read_as_a_galaxys_card_writes_it(ra: float, dec: float) -> None:
    written = format_position(ra, dec)
    (near,) = re.findall(r"\(.+\)", written)
    for text in (written, near, near.strip("()")):
        read = parse_query(f"{text} r=3'").cone
        far = SkyCoord(read.ra, read.dec, unit="deg").separation(SkyCoord(ra, dec, unit="deg"))
        assert far.arcsec < 1.5
        assert read.radius_arcmin == 3.0


@pytest.mark.parametrize(
    "text", ["NGC 4565", "587722982290292862", "T < 0", "M 31", "3C 273", "ra > 10", "NGC 1 (2 3)"]
)
def test_what_is_no_position_is_none(text: str) -> None:
    assert parse_position(text) is None


@pytest.mark.parametrize("text", ["10 91", "12:30:00 -91:00:00", "10 10 0'", "10 10 181 deg"])
def test_what_is_not_on_the_sky_is_refused(text: str) -> None:
    with pytest.raises(BadQuery):
        parse_query(text)


def test_a_cone_goes_over_the_origin_of_right_ascension_and_the_poles() -> None:
    sky = Sky([359.99, 0.01, 1.0, 180.0, np.nan], [0.0, 0.0, 0.0, 0.0, 0.0])
    found = find(sky, Query(cone=Cone(0.0, 0.0, 1.0)))
    assert sorted(found.rows) == [0, 1]
    np.testing.assert_allclose(found.separation, 0.6)
    pole = Sky([0.0, 180.0, 90.0], [89.99, 89.99, 80.0])
    assert sorted(find(pole, Query(cone=Cone(45.0, 89.99, 1.2))).rows) == [0, 1]


def test_nearest_to_the_centre_comes_first() -> None:
    sky = Sky([10.0, 10.001, 10.01], [0.0, 0.0, 0.0])
    found = find(sky, Query(cone=Cone(10.009, 0.0, 5.0)))
    assert found.rows.tolist() == [2, 1, 0]


def test_columns_are_compared_as_numpy_compares_them(bundle: Bundle) -> None:
    ttype, magnitude = bundle.column("ttype"), bundle.column("magnitude")
    found = find(bundle, parse_query("T < 0 and Magnitude >= 15.2"))
    np.testing.assert_array_equal(found.rows, np.flatnonzero((ttype < 0) & (magnitude >= 15.2)))
    unknown = find(bundle, parse_query("ttype = unknown"))
    np.testing.assert_array_equal(unknown.rows, np.flatnonzero(np.isnan(ttype)))
    gz1 = find(bundle, parse_query("source = GZ1"))
    np.testing.assert_array_equal(gz1.rows, np.flatnonzero(bundle.column("source") == "gz1"))
    assert len(find(bundle, parse_query("source ~ sdss")).rows) + len(gz1.rows) == len(bundle)


def test_an_unknown_number_fulfils_no_comparison(bundle: Bundle) -> None:
    rows = [find(bundle, parse_query(f"T {sign} 1")).rows for sign in ("<", ">=", "!=")]
    assert not np.isnan(bundle.column("ttype")[np.concatenate(rows)]).any()


def test_clusters_and_labels_come_from_outside(bundle: Bundle) -> None:
    derived = {"cluster": np.arange(len(bundle)) % 7, "label": np.array(["bar", ""] * 100)}
    found = find(bundle, parse_query("cluster = 3 & label = bar"), derived)
    assert found.rows.tolist() == [row for row in range(200) if row % 7 == 3 and row % 2 == 0]
    assert found.words == "cluster = 3 and label = bar"


@pytest.mark.parametrize("text", ["galaxy-0007", "GALAXY 7", "galaxy 0007", "galaxy7"])
def test_names_are_found_without_case_blanks_and_zeros(bundle: Bundle, text: str) -> None:
    assert normal("IC0495") == normal("ic 495") == "ic495"
    assert normal("NGC 4000") == "ngc4000"
    exact = bundle.column("galaxy_id")[find(bundle, parse_query(text)).rows]
    assert "galaxy-0007" in exact


def test_an_exact_name_hides_longer_ones(bundle: Bundle) -> None:
    assert find(bundle, parse_query("NGC 1")).rows.tolist() == [1]
    assert len(find(bundle, parse_query("GC 19")).rows) == 11  # 19 and 190..199


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "1 to 500"),
        ("x" * 501, "1 to 500"),
        ("colour < 3", "no column 'colour'"),
        ("T < early", "no number"),
        ("T ~ 3", "holds numbers"),
        ("source < 3", "holds text"),
    ],
)
def test_what_cannot_be_understood_is_refused(bundle: Bundle, text: str, reason: str) -> None:
    with pytest.raises(BadQuery, match=reason):
        find(bundle, parse_query(text))


@given(st.text(max_size=60))
def test_any_text_is_answered_or_refused(text: str) -> None:
    try:
        assert isinstance(parse_query(text), Query)
    except BadQuery:
        return


def test_a_condition_keeps_its_parts() -> None:
    assert parse_query('hubble == "S B"').conditions == (ColumnCondition("hubble", "=", "S B"),)


def test_what_is_quoted_is_one_value() -> None:
    asked = parse_query("""1 2 r=5' & name ~ "bar and ring" and class='a & b; c' ; T < 3""")
    assert asked.cone == Cone(1.0, 2.0, 5.0)
    told = [(one.column, one.relation, one.value) for one in asked.conditions]
    assert told == [("name", "~", "bar and ring"), ("class", "=", "a & b; c"), ("T", "<", "3")]
