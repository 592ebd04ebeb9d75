"""The page around the pages: title, navigation, light and dark, and what to do about an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn
import panel_material_ui as pmui
from panel.io.resources import LOCAL_DIST

from galaxy_explorer.errors import GalaxyExplorerError
from galaxy_explorer.explorer.context import AppContext, app_context
from galaxy_explorer.explorer.stamps import StampStore
from galaxy_explorer.explorer.state import ExplorerState
from galaxy_explorer.explorer.text import plain

TITLE = "Galaxy Explorer"
THEME = {
    "light": {
        "palette": {
            "primary": {"main": "#0b62a8"},
            "background": {"default": "#f4f6fa", "paper": "#ffffff"},
        }
    },
    "dark": {
        "palette": {
            "primary": {"main": "#7cc4ff"},
            "background": {"default": "#05070c", "paper": "#0a0e16"},
        }
    },
}
HEADER_STYLE = {
    "& .header": {"backgroundColor": "#101b2d", "backgroundImage": "none", "boxShadow": "none"},
    "& .header .title": {"fontSize": "1.2rem", "fontWeight": 600},
    "& .header .MuiIconButton-root": {"color": "#ffffff"},
    "& .MuiToolbar-root": {"minHeight": "52px !important"},
}
NAVIGATION_STYLE = """
.MuiFormLabel-root.MuiFormLabel-root { position: absolute; clip-path: inset(50%); }
.MuiToggleButtonGroup-root .MuiToggleButton-root.MuiToggleButton-root {
  color: #c5d2e6; border-color: #33445f; padding: 4px 14px;
}
.MuiToggleButtonGroup-root .MuiToggleButton-root.MuiToggleButton-root.Mui-selected {
  color: #101b2d; background-color: #cfe3fb;
}
.MuiToggleButtonGroup-root .MuiToggleButton-root:focus-visible { outline: 2px solid #ffffff; }
"""
View = Callable[[ExplorerState, StampStore], Any]


def _atlas(state: ExplorerState, stamps: StampStore) -> Any:
    from galaxy_explorer.explorer.views.atlas import Atlas

    return Atlas(state, stamps)


def _clusters(state: ExplorerState, stamps: StampStore) -> Any:
    from galaxy_explorer.explorer.views.clusters import Clusters

    return Clusters(state, stamps)


def _codebooks(state: ExplorerState, stamps: StampStore) -> Any:
    from galaxy_explorer.explorer.views.codebooks import Codebooks

    return Codebooks(state, stamps)


PAGES: dict[str, View] = {"atlas": _atlas, "clusters": _clusters, "codebooks": _codebooks}
"""Name in the address (?page=name) and maker of each page; the first is the landing page."""


def main_page() -> pmui.Page:
    """The app for one visitor; a page with the cure where bundle or survey cannot be used."""
    _keep_styles_local()
    try:
        context = app_context()
    except GalaxyExplorerError as error:
        return error_page(error)
    return build_page(context)


def _keep_styles_local() -> None:
    """Take Panel's style sheets from this server, whatever happens.

    Panel makes them point elsewhere and turns them round when it renders the page. A visitor whose
    browser connects so late that the session has expired gets one that was never rendered.
    """
    if pn.state.curdoc is not None:
        pn.state.curdoc.template_variables["dist_url"] = LOCAL_DIST


def build_page(context: AppContext) -> pmui.Page:
    """The app for one visitor. Each page is made when it is first opened."""
    state = ExplorerState(context.bundle)
    names = list(PAGES)
    navigation = pmui.RadioButtonGroup(
        label="Page",
        options={name.capitalize(): name for name in names},
        value=_asked_page(names),
        color="default",
        size="small",
        margin=(0, 20),
        stylesheets=[NAVIGATION_STYLE],
    )
    main = pn.Column(sizing_mode="stretch_both", margin=0)
    made: dict[str, pn.viewable.Viewable] = {}

    def open_page(name: str) -> None:
        if name not in made:
            made[name] = pn.panel(PAGES[name](state, context.stamps))
            main.append(made[name])
        for other, view in made.items():
            view.visible = other == name
        if pn.state.location is not None:
            pn.state.location.update_query(page=name)

    navigation.param.watch(lambda event: open_page(event.new), "value")
    open_page(navigation.value)
    return _page(main, header=[navigation])


def _asked_page(names: list[str]) -> str:
    asked = pn.state.session_args.get("page", [b""])[0].decode(errors="replace")
    return asked if asked in names else names[0]


def error_page(error: Exception) -> pmui.Page:
    """A page that says what is wrong and what helps."""
    text = (
        f"<h2>The explorer cannot start</h2><p>{plain(error)}</p>"
        "<p>Name a bundle with <code>galaxy-explorer serve BUNDLE</code> or "
        "<code>make app BUNDLE=...</code>; <code>galaxy-explorer train</code> makes one from a "
        "survey. Reload this page when it is there.</p>"
    )
    return _page(pn.pane.HTML(text, margin=40, styles={"font-size": "16px", "max-width": "70ch"}))


def _page(
    main: pn.viewable.Viewable, header: list[pn.viewable.Viewable] | None = None
) -> pmui.Page:
    return pmui.Page(
        title=TITLE,
        main=[main],
        header=header or [],
        dark_theme=True,
        theme_config=THEME,
        busy_indicator="linear",
        meta_description="A map of galaxies sorted by a model that was never told their types.",
        sx=HEADER_STYLE,
    )
