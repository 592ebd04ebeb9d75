"""Originals: from a survey by galaxy_id, from the SDSS by position; failures change nothing."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace
from urllib.parse import parse_qs

import numpy as np
import pyarrow as pa
import pytest
from msgspec import structs
from PIL import Image

from galaxy_explorer.bundle.catalogue import Catalogue
from galaxy_explorer.explorer.context import sdss_cutouts
from galaxy_explorer.explorer.pictures.originals import (
    MAX_BYTES,
    SERVICE,
    SdssCutouts,
    first_of,
    read_picture,
    survey_originals,
)
from galaxy_explorer.settings import read_settings
from galaxy_explorer.survey.store import SCALE_COLUMN

SIDE = 64
SKY = np.array([10.5, 20.5, np.nan])
SCALES = np.array([0.4, 1.5, 0.8])


def jpeg(side: int = SIDE, green: int = 200) -> bytes:
    pixels = np.zeros((side, side, 3), np.uint8)
    pixels[..., 1] = green
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=95)
    return stream.getvalue()


@pytest.fixture
def service(monkeypatch):
    """A stand-in for the network: what it answers, and every address it was asked."""
    state = SimpleNamespace(answer=jpeg(), asked=[])

    def urlopen(address: str, timeout: float) -> io.BytesIO:
        state.asked.append(address)
        if isinstance(state.answer, Exception):
            raise state.answer
        return io.BytesIO(state.answer)

    monkeypatch.setattr(
        "galaxy_explorer.explorer.pictures.originals.urllib.request.urlopen", urlopen
    )
    return state


@pytest.fixture
def cutouts(tmp_path):
    return SdssCutouts(
        ra=SKY, dec=SKY - 5, scales=SCALES, side=SIDE, folder=tmp_path / "sdss", timeout=20
    )


def test_making_the_source_asks_for_nothing(cutouts, service) -> None:
    assert service.asked == []


def test_a_galaxy_is_asked_for_by_position_over_https(cutouts, service) -> None:
    stamps = cutouts(np.array([0]))
    np.testing.assert_allclose(stamps, 200 / 255, atol=0.02)
    assert service.asked[0].startswith(f"{SERVICE}?")
    assert SERVICE.startswith("https://")
    query = service.asked[0].split("?")[1].split("&")
    assert {"ra=10.500000", "dec=5.500000", "width=64", "height=64"} <= set(query)
    assert "scale=0.4" in query


def test_a_galaxy_is_asked_for_at_the_scale_of_its_stamp(bundle, service, tmp_path) -> None:
    known = {name: bundle.column(name) for name in ("ra", "dec")}
    own = np.array([0.25, *[np.nan] * (len(bundle) - 1)])

    def asked(survey_scale: float | None, columns: dict[str, np.ndarray]) -> list[str]:
        survey = structs.replace(bundle.manifest.survey, pixel_scale_arcsec=survey_scale)
        manifest = structs.replace(bundle.manifest, survey=survey)
        found = replace(bundle, manifest=manifest, catalogue=Catalogue.of(pa.table(columns)))
        cutouts = sdss_cutouts(found, tmp_path, read_settings({}))
        cutouts.picture_at(1.0, 2.0)
        addresses = cutouts.address(0), cutouts.address(1), service.asked[-1]
        return [parse_qs(address)["scale"][0] for address in addresses]

    assert asked(None, known) == ["0.8", "0.8", "0.8"]
    assert asked(0.06, known | {SCALE_COLUMN: own}) == ["0.25", "0.06", "0.06"]


def test_what_was_fetched_is_not_asked_for_again(cutouts, service) -> None:
    first = cutouts(np.array([0, 1]))
    again = replace(cutouts, _pool=ThreadPoolExecutor(1))
    np.testing.assert_array_equal(again(np.array([0, 1])), first)
    assert len(service.asked) == 2


def test_a_galaxy_without_a_position_is_not_asked_for(cutouts, service) -> None:
    assert np.isnan(cutouts(np.array([2]))).all()
    assert service.asked == []


@pytest.mark.parametrize(
    "answer",
    [
        OSError("no route to host"),
        TimeoutError("timed out"),
        b"<html>maintenance</html>",
        jpeg(32),
        jpeg()[:200],
        bytes(MAX_BYTES + 10),
    ],
    ids=["offline", "timeout", "html", "size", "cut", "huge"],
)
def test_a_failure_gives_no_picture_and_leaves_no_file(cutouts, service, answer) -> None:
    service.answer = answer
    assert np.isnan(cutouts(np.array([0, 1]))).all()
    assert list(cutouts.folder.iterdir()) == []
    service.answer = jpeg()
    assert np.isfinite(cutouts(np.array([0, 1]))).all()


def test_a_service_that_hangs_does_not_hold_the_page_up(tmp_path, monkeypatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(
        "galaxy_explorer.explorer.pictures.originals.urllib.request.urlopen",
        lambda *_, **__: release.wait(60) and io.BytesIO(b""),
    )
    cutouts = SdssCutouts(ra=SKY, dec=SKY, scales=SCALES, side=SIDE, folder=tmp_path, timeout=0.05)
    stamps = cutouts(np.array([0, 1]))
    release.set()
    assert np.isnan(stamps).all()


def test_only_a_jpeg_of_the_right_size_is_a_picture() -> None:
    assert read_picture(jpeg(), SIDE).shape == (SIDE, SIDE)
    with pytest.raises(ValueError, match="pixels"):
        read_picture(jpeg(16), SIDE)
    with pytest.raises(ValueError, match="not a JPEG"):
        read_picture(b"GIF89a", SIDE)


def fake_survey(ids: list[str], channels: int = 1) -> SimpleNamespace:
    values = np.arange(len(ids), dtype=np.float32)
    return SimpleNamespace(
        column=lambda name: np.array(ids),
        meta={"stamp_size": SIDE},
        model_input=lambda rows: (
            np.ones((len(rows), channels, SIDE, SIDE), np.float32)
            * values[rows][:, None, None, None]
            * np.arange(1, channels + 1, dtype=np.float32)[:, None, None]
        ),
    )


def test_a_survey_is_matched_by_galaxy_id_whatever_its_order(bundle) -> None:
    ids = bundle.column("galaxy_id").tolist()
    originals = survey_originals(bundle, fake_survey([ids[9], "stranger", ids[4]]))
    stamps = originals(np.array([4, 9, 5, 4]))
    assert stamps[:, 0, 0].tolist()[:2] == [2, 0]
    assert stamps[3, 0, 0] == 2
    assert np.isnan(stamps[2]).all()


@pytest.mark.parametrize(("bands", "seen"), [(3, [1, 2, 3]), (1, [1, 1, 1]), (2, [1.5] * 3)])
def test_originals_of_a_bundle_in_colour_are_in_colour(coloured, bands, seen) -> None:
    ids = ["stranger", coloured.column("galaxy_id")[4]]
    stamps = survey_originals(coloured, fake_survey(ids, bands))(np.array([4, 5]))
    assert stamps.shape == (2, SIDE, SIDE, 3)
    assert stamps[0, 0, 0].tolist() == seen
    assert np.isnan(stamps[1]).all()


def test_originals_of_a_bundle_in_one_band_are_the_mean_of_the_bands(bundle) -> None:
    ids = ["stranger", bundle.column("galaxy_id")[4]]
    stamps = survey_originals(bundle, fake_survey(ids, 3))(np.array([4]))
    np.testing.assert_array_equal(stamps, np.full((1, SIDE, SIDE), 2.0))


def test_cutouts_in_colour_keep_their_three_bands(cutouts, service) -> None:
    cutouts.colour = True
    stamps = cutouts(np.array([0, 2]))
    assert stamps.shape == (2, SIDE, SIDE, 3)
    np.testing.assert_allclose(stamps[0].mean(axis=(0, 1)), [0, 200 / 255, 0], atol=0.03)
    assert np.isnan(stamps[1]).all()


def test_the_second_source_is_asked_only_for_what_the_first_lacks() -> None:
    asked = []

    def first(rows):
        return np.where(rows[:, None, None] < 2, 1.0, np.nan) * np.ones((1, 4, 4))

    def second(rows):
        asked.extend(rows.tolist())
        return np.full((len(rows), 4, 4), 2.0)

    stamps = first_of([first, second])(np.array([0, 5, 1]))
    assert stamps[:, 0, 0].tolist() == [1, 2, 1]
    assert asked == [5]
    assert first_of([]) is None
