"""The explorer in a notebook cell: what the cell shows, and what code reads from it."""

from __future__ import annotations

import numpy as np
import pytest
from bokeh.document import Document

import galaxy_explorer
from galaxy_explorer.explorer import notebook
from galaxy_explorer.explorer.notebook import Explorer


@pytest.fixture
def explorer(bundle, stamps, monkeypatch) -> Explorer:
    monkeypatch.setattr(notebook, "_stamps", lambda *_: stamps)
    return Explorer(bundle)


def test_it_is_a_public_name() -> None:
    assert galaxy_explorer.Explorer is Explorer
    with pytest.raises(AttributeError):
        galaxy_explorer.Explorers  # noqa: B018


def test_a_lasso_in_the_cell_is_a_table(explorer, bundle) -> None:
    """What the browser of a notebook sends: a patch of the document."""
    document = Document()
    document.add_root(explorer._view.get_root(document))
    selected = explorer.map.source.selected
    patch = {
        "events": [
            {
                "kind": "ModelChanged",
                "model": {"id": selected.id},
                "attr": "indices",
                "new": [3, 1],
            }
        ]
    }
    document.apply_json_patch(patch)
    assert explorer.state.selection.tolist() == [1, 3]
    assert list(explorer.selection["galaxy_id"]) == ["galaxy-0001", "galaxy-0003"]
    assert explorer.selection.meta["selection"] == "chosen on the map"


def test_code_selects_as_the_map_does(explorer) -> None:
    assert len(explorer.selection) == 0
    explorer.state.select([7, 5], "mine")
    assert explorer.map.source.selected.indices == [5, 7]


def test_nothing_in_the_cell_asks_a_server(explorer) -> None:
    from bokeh.models import HoverTool

    assert all(
        "<img" not in tool.tooltips for tool in explorer.map.figure.select({"type": HoverTool})
    )


def test_another_model_moves_the_galaxies(explorer, bundle) -> None:
    before = np.array(explorer.map.source.data["x"])
    explorer.state.clustering = "k16-modern-8x8/codes"
    assert not np.array_equal(before, explorer.map.source.data["x"])


def test_labels_are_read_as_a_table(explorer, monkeypatch) -> None:
    class Store:
        def table(self):
            return "the table"

    monkeypatch.setattr(notebook, "label_store", lambda _: Store())
    assert explorer.labels == "the table"
