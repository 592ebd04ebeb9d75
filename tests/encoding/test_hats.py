"""Encodings as HATS catalogues, which LSDB opens."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from galaxy_explorer.encoding import encode_survey
from galaxy_explorer.encoding.hats_layout import (
    FINEST,
    SPATIAL_ORDER,
    first_index,
    partitions,
    write_hats,
)
from galaxy_explorer.errors import SettingError
from tests.encoding.conftest import MODEL, ROWS, N, write_placed_survey

KEY = f"{MODEL}/codes"
lsdb = pytest.importorskip("lsdb", reason="the extra survey is not installed")


@pytest.fixture(scope="module")
def made(bundle, survey, tmp_path_factory):
    out = tmp_path_factory.mktemp("hats") / "out"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("galaxy_explorer.encoding.hats_layout.MOST_ROWS", 15)
        patched.setattr("galaxy_explorer.encoding.hats_layout.partitions.__defaults__", (15,))
        patched.setattr("galaxy_explorer.encoding.hats_layout.HELD_ROWS", 2 * ROWS)
        return encode_survey(bundle, survey, out, models=[KEY], rows=ROWS, layout="hats")


def test_lsdb_opens_it_with_every_galaxy_once(made):
    catalogue = lsdb.open_catalog(made.path)
    assert len(catalogue.get_healpix_pixels()) > 1
    frame = catalogue.compute()
    assert frame.index.name == "_healpix_29"
    assert frame.index.is_monotonic_increasing
    ours = made.table().to_pandas().set_index("galaxy_id").sort_index()
    theirs = frame.set_index("galaxy_id").sort_index()
    assert theirs.index.tolist() == ours.index.tolist()
    for column in ("ra", f"{KEY}/cluster", f"{KEY}/x", "unusual"):
        np.testing.assert_array_equal(theirs[column], ours[column])
    codes = np.stack(theirs[f"{MODEL}/codes"].to_list())
    np.testing.assert_array_equal(codes, np.stack(ours[f"{MODEL}/codes"].to_list()))


@pytest.mark.slow
@pytest.mark.filterwarnings("error:Right catalog does not have a margin cache")
def test_lsdb_cross_matches_it(made):
    some = made.table(["galaxy_id", "ra", "dec"]).to_pandas().iloc[::4]
    columns = {"name": some["galaxy_id"], "ra": some["ra"], "dec": some["dec"] + 0.5 / 3600}
    other = pa.table(columns).to_pandas()
    small = lsdb.from_dataframe(other, ra_column="ra", dec_column="dec", margin_threshold=5)
    matched = lsdb.open_catalog(made.path).crossmatch(
        small, radius_arcsec=1, suffix_method="overlapping_columns"
    )
    pairs = matched.compute()[["galaxy_id", "name"]].astype(str)
    assert len(pairs) == N // 4
    assert (pairs.iloc[:, 0] == pairs.iloc[:, 1]).all()


def test_partitions_hold_every_row_once_and_no_more_than_they_may():
    rng = np.random.default_rng(0)
    pixels = np.unique(rng.integers(0, 12 * 4**FINEST, 300) // 64)
    counts = {int(pixel): int(n) for pixel, n in zip(pixels, rng.integers(1, 9, 300), strict=False)}
    found = partitions(counts, 20)
    ends = [first_index(order, pixel + 1) for order, pixel in found]
    starts = [first_index(order, pixel) for order, pixel in found]
    assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))
    held = [0] * len(found)
    for pixel, n in counts.items():
        at = pixel << 2 * (SPATIAL_ORDER - FINEST)
        (place,) = [i for i in range(len(found)) if starts[i] <= at < ends[i]]
        held[place] += n
    assert sum(held) == sum(counts.values())
    assert max(held) <= 20
    for (order, pixel), n in zip(found, held, strict=True):
        if order:  # the pixel above would hold too many
            low, high = first_index(order - 1, pixel >> 2), first_index(order - 1, (pixel >> 2) + 1)
            above = sum(k for p, k in counts.items() if low <= p << 38 < high)
            assert n <= above
            assert above > 20
    assert partitions({5: 99}, 20) == [(FINEST, 5)]


def test_galaxies_without_position_are_refused_before_anything_is_done(bundle, tmp_path):
    nowhere = write_placed_survey(tmp_path / "nowhere", positions=False)
    with pytest.raises(SettingError, match=r"40 of 40 galaxies .* have no position .* leave"):
        encode_survey(bundle, nowhere, tmp_path / "out", layout="hats")
    assert not (tmp_path / "out").exists()


def test_a_catalogue_that_is_cut_short_is_none(made, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("galaxy_explorer.encoding.hats_layout._describe", full)
    (tmp_path / "hats.properties").write_text("of a run before")
    with pytest.raises(OSError, match=r"No space"):
        write_hats(made.files, tmp_path, name="cut")
    assert not (tmp_path / "hats.properties").exists()
    assert not (tmp_path / ".hats.partial").exists()
