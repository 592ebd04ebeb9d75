"""What is taken home is what is shown, whole, and says where it is from."""

from __future__ import annotations

import io
import re
from urllib.parse import parse_qsl, urlsplit
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from galaxy_explorer.explorer.brushing import parse_brushes
from galaxy_explorer.explorer.export import dialog
from galaxy_explorer.explorer.export.dialog import ExportDialog, file_name
from galaxy_explorer.explorer.links import restore
from galaxy_explorer.explorer.state import ExplorerState
from galaxy_explorer.explorer.widgets.detail import sky_links
from galaxy_explorer.explorer.widgets.results import SearchResults, publish_results
from galaxy_explorer.utils.tables import FORMATS, decode_table


@pytest.fixture
def home(state, context) -> ExportDialog:
    return ExportDialog(state, context, lambda: "clusters")


def made(home: ExportDialog, kind: str):
    name, data = home.prepare_table(kind)()
    return name, decode_table(data, kind)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_selection_is_taken_whole_in_every_format(home, state, kind) -> None:
    state.select([4, 2, 9], "three <b>")
    name, table = made(home, kind)
    assert name == "small-three-b"
    assert list(table["galaxy_id"]) == ["galaxy-0002", "galaxy-0004", "galaxy-0009"]


def test_without_a_selection_everything_is_taken(home, state) -> None:
    assert len(made(home, "ecsv")[1]) == len(state.bundle)


def test_where_no_galaxy_passes_the_brushes_there_is_nothing_to_take(
    home, state, monkeypatch
) -> None:
    told = []
    monkeypatch.setattr(dialog, "notify", lambda words, **_: told.append(words))
    state.brush(parse_brushes("T:-5..-4;magnitude:..-100"))
    home.open()
    assert not home.dialog.open
    assert told == [f"There is nothing to take home: {state.none_words}"]
    assert len(made(home, "ecsv")[1]) == 0  # of a dialog that was open before
    state.clear()
    home.open()
    assert home.dialog.open


def test_neighbours_keep_their_order_and_distances(home, state) -> None:
    far = np.array([0.0, 1.0, 2.5])
    publish_results(
        state, SearchResults(np.array([9, 2, 4]), "near", "nearest first", {"code_distance": far})
    )
    table = made(home, "vot")[1]
    assert list(table["galaxy_id"]) == ["galaxy-0009", "galaxy-0002", "galaxy-0004"]
    assert table["code_distance"].tolist() == far.tolist()
    state.select([1], "another")
    assert "code_distance" not in made(home, "vot")[1].colnames


def test_link_and_citation_reopen_and_name_the_view(home, state, bundle, context) -> None:
    state.select([4, 2], "two")
    state.focus = 4
    home.open()
    (_, link, _), (_, cite, _) = home.texts.texts
    assert home.dialog.open
    fresh = ExplorerState(bundle)
    assert restore(fresh, dict(parse_qsl(urlsplit(link).query)), context.selections) == []
    assert (fresh.selection.tolist(), fresh.focus) == ([2, 4], 4)
    assert all(part in cite for part in (bundle.hash, link, "Cheng, T.-Y.", "galaxy_explorer"))


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_figures_are_drawn(home, state, kind) -> None:
    state.select(range(30), r"thirty $\frac{a}$ <b>")  # nothing in it is markup or mathematics
    for prepare in (home.prepare_map, home.prepare_types):
        _, data = prepare(kind)()
        if kind == "png":
            assert min(Image.open(io.BytesIO(data)).size) > 800
        elif kind == "svg":
            text = "".join(ET.fromstring(data).itertext())  # noqa: S314 (our own)
            assert r"thirty $\frac{a}$ <b>" in text
        else:
            assert data.startswith(b"%PDF")


def test_the_same_figure_has_the_same_bytes(home) -> None:
    first, second = (home.prepare_types("svg")() for _ in range(2))
    assert first == second


def test_the_map_is_taken_as_it_is_coloured(home, state) -> None:
    pictures = []
    for state.colour_by in ("cluster", "ttype"):
        pictures.append(np.array(Image.open(io.BytesIO(home.prepare_map("png")()[1]))))
    assert pictures[0].shape != pictures[1].shape or (pictures[0] != pictures[1]).any()


@pytest.mark.parametrize("words", ["../../etc/passwd", "a\r\nb: c", "", "é" * 500, "x" * 500])
def test_file_names_hold_no_surprises(words) -> None:
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,59}", file_name("sdss", words))


def test_links_carry_the_position() -> None:
    links = sky_links(-0.5, -0.25)
    assert set(links) == {"SDSS", "Legacy Surveys", "SIMBAD", "NED"}
    assert all(link.startswith("https://") and "359.5" in link for link in links.values())
    assert all("-0.25" in link for link in links.values())
    assert sky_links(np.nan, 0) == sky_links(0, 91) == {}
