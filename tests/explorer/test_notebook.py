"""The explorer in a notebook cell: what the cell shows, and what code reads from it."""

from __future__ import annotations

import asyncio
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import panel as pn
import param
import pytest
from bokeh.document import Document
from bokeh.models import HoverTool, UIElement
from panel.io.model import add_to_doc
from panel.io.notebook import patch_inline_stylesheets
from panel.models.esm import ReactComponent
from pyviz_comms import Comm

import galaxy_explorer
from galaxy_explorer.explorer import notebook
from galaxy_explorer.explorer.notebook import COLOURS, Explorer
from galaxy_explorer.explorer.widgets.components import TileSheet


@pytest.fixture
def explorer(bundle, stamps, monkeypatch) -> Explorer:
    monkeypatch.setattr(notebook, "open_stamps", lambda *_: stamps)
    return Explorer(bundle)


class Page(Comm):
    """The browser's end of a cell: keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self._comm, self.told = True, []

    def init(self, on_msg=None) -> None:
        pass

    def send(self, data=None, metadata=None, buffers=()) -> None:
        self.told.append(str(data))


@pytest.fixture
def cell(explorer) -> SimpleNamespace:
    """The explorer as a cell shows it."""
    document, page = Document(), Page()
    root = explorer._view._render_model(document, page)
    for model in root.select({"type": UIElement}):
        patch_inline_stylesheets(model)  # as Panel does where it takes everything from here
    add_to_doc(root, document, hold=True)
    page.told.clear()
    return SimpleNamespace(root=root, told=page.told)


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
    assert all(
        "<img" not in tool.tooltips for tool in explorer.map.figure.select({"type": HoverTool})
    )


def test_another_model_moves_the_galaxies(explorer, bundle) -> None:
    before = np.array(explorer.map.source.data["x"])
    explorer.state.clustering = "k16-modern-8x8/codes"
    assert not np.array_equal(before, explorer.map.source.data["x"])


def test_labels_are_read_as_a_table(explorer, monkeypatch) -> None:
    monkeypatch.setattr(notebook, "label_store", lambda _: "the store")
    monkeypatch.setattr(notebook, "label_table", lambda store: f"table of {store}")
    assert explorer.labels == "table of the store"


def test_the_cell_is_complete_when_it_is_shown(bundle, stamps, monkeypatch) -> None:
    """What is drawn between its making and its showing would not reach it."""
    monkeypatch.setattr(notebook, "open_stamps", lambda *_: stamps)

    async def made() -> Explorer:  # as in a kernel, where slow work goes on after the cell
        return Explorer(bundle)

    explorer = asyncio.run(made())
    sheet = next(iter(explorer._view.select(TileSheet)))
    assert sheet.rows[0]["tiles"]
    assert sheet.sheet


def test_what_code_does_to_the_map_is_told_to_the_cell(explorer, cell) -> None:
    explorer._place()
    assert any("ColumnDataChanged" in message for message in cell.told)
    cell.told.clear()
    with param.parameterized.discard_events(explorer.state):
        explorer.state.select([7, 5], "mine")
    explorer._highlight()
    assert any("indices" in message for message in cell.told)


def test_the_cell_asks_no_network_and_carries_no_library_a_widget(explorer, cell) -> None:
    explorer.state.focus = 3
    models = list(cell.root.references())
    assert not any(isinstance(model, ReactComponent) for model in models)
    assert not any("ImportedStyleSheet" in message for message in cell.told)


def test_a_galaxy_in_focus_is_described(explorer, cell) -> None:
    explorer.state.focus = 3
    assert any("galaxy-0003" in str(getattr(model, "text", "")) for model in cell.root.references())


@pytest.mark.parametrize("notebook_runs", [True, False])
def test_scripts_are_brought_into_a_notebook_and_into_nothing_else(monkeypatch, notebook_runs):
    shell = SimpleNamespace(kernel=object()) if notebook_runs else SimpleNamespace()
    ipython = ModuleType("IPython")
    ipython.get_ipython = lambda: shell
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    brought = []
    monkeypatch.setattr(pn, "extension", lambda **options: brought.append(options))
    notebook._load_scripts()
    notebook._load_scripts()
    assert brought == ([{"inline": True}] * 2 if notebook_runs else [])


def test_every_part_of_the_cell_has_the_ink_of_the_notebook(explorer) -> None:
    side = explorer._view[1][1]
    assert all(COLOURS in part.stylesheets for part in side.select(pn.widgets.Widget))
    assert all(COLOURS in part.stylesheets for part in side.select(TileSheet))


def test_figures_follow_what_is_selected_and_chosen(explorer, bundle) -> None:
    figure = explorer.figures.histogram()

    def shown() -> int:
        return int(figure[()].Rectangles.I.dimension_values("count").sum())

    known = explorer.state.t_classes >= 0
    assert shown() == known.sum()
    explorer.state.select([1, 2, 3], "three")
    assert shown() == known[[1, 2, 3]].sum()
    places = explorer.figures.map()
    assert len(places[()].Points.II) == 3
    explorer.state.clear()
    assert len(places[()].Points.II) == 0


@pytest.mark.parametrize("name", ["histogram", "map", "trend", "tradeoff", "contingency", "flow"])
def test_each_figure_is_handed_out_and_saved_as_vectors(explorer, name, tmp_path) -> None:
    figure = getattr(explorer.figures, name)()
    explorer.figures.save(figure, tmp_path / "figure.pdf")
    assert (tmp_path / "figure.pdf").read_bytes().startswith(b"%PDF")


def test_a_figure_is_saved_by_its_ending(explorer, tmp_path) -> None:
    with pytest.raises(ValueError, match="png, svg, pdf"):
        explorer.figures.save(explorer.figures.tradeoff(), tmp_path / "figure.exe")
    assert not (tmp_path / "figure.exe").exists()


def test_a_cell_whose_kernel_answers_is_told_so(explorer, monkeypatch) -> None:
    (notice,) = explorer._view.select(notebook.KernelNotice)
    told = []
    monkeypatch.setattr(notice, "_send_msg", told.append)
    notice._handle_msg({"ready": True})
    assert told == [{"alive": True}]
