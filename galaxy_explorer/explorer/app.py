"""The page around the pages: title, navigation, search field, what can be taken home.

Where the app cannot start, a page that says what is wrong and what helps.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui
from panel.io.resources import LOCAL_DIST

from galaxy_explorer.errors import BundleError, GalaxyExplorerError, in_words
from galaxy_explorer.explorer.assets import Html, asset, render
from galaxy_explorer.explorer.background import notify
from galaxy_explorer.explorer.context import PROJECTS, AppContext, app_context
from galaxy_explorer.explorer.export.dialog import ExportDialog
from galaxy_explorer.explorer.links import CHOICES, link_query, restore
from galaxy_explorer.explorer.pages.registry import FORMER, PAGES, offered_pages, warm_pages
from galaxy_explorer.explorer.pictures.tiles import map_tiles
from galaxy_explorer.explorer.server import routes  # guards the server, adds the pictures
from galaxy_explorer.explorer.server.sessions import (
    detach_page_from_session,
    expired_page,
    has_slot,
    is_waking,
    session_beacon,
    wake_siblings,
)
from galaxy_explorer.explorer.state import ExplorerState
from galaxy_explorer.explorer.urls import first_tiles
from galaxy_explorer.explorer.widgets.components import (
    HtmlPane,
    Navigation,
    SearchField,
    View,
    when_loaded,
)
from galaxy_explorer.explorer.widgets.drawer import Drawer
from galaxy_explorer.explorer.widgets.finder import answer

if TYPE_CHECKING:
    from galaxy_explorer.explorer.context import AppContext


EXPLANATION = (
    "A name (NGC 4565), a position (12:36:20.8 +25:59:16 r=5'), or conditions (T < 0 and"
    " cluster = 5); what is found becomes the selection"
)

FIELD_WIDTH = "clamp(96px, 24vw, 360px)"
OWN_WIDTH = f":host {{ flex: 0 0 calc({FIELD_WIDTH} + 46px) !important; min-width: 0; }}"
"""Field and button; what is left of the header belongs to the navigation."""


class HeaderTools(View):
    """Search field and export button; page: name of the page that is open."""

    def __init__(
        self, state: ExplorerState, context: AppContext, page: Callable[[], str], **params: Any
    ) -> None:
        super().__init__(**params)
        self.state = state
        self.field = SearchField(
            self.on_message, hint="Find: NGC 4565, spirals, T < 0", margin=(0, 4),
            explanation=EXPLANATION, sizing_mode=None, styles={"width": FIELD_WIDTH}
        )  # fmt: skip
        self.export = ExportDialog(state, context, page)
        self.view = pn.Row(
            self.field, self.export, margin=0, align="center", stylesheets=[OWN_WIDTH]
        )

    async def on_message(self, message: dict[str, Any]) -> None:
        """Answer the browser."""
        asked = message.get("ask")
        if isinstance(asked, str):
            await self.search(asked)

    async def search(self, asked: str) -> None:
        """Select what a question finds, and say how many; a question in vain changes nothing."""
        if await answer(self.state, asked):
            pn.state.execute(partial(setattr, self.state, "drawer", "open"), schedule=True)


TITLE = "Galaxy Explorer"
LANDING = "atlas"
ADDRESSED = [
    *CHOICES.values(), "selection", "selection_label", "brushes", "focus", "pictures", "page_words"
]  # fmt: skip
"""What of the state the address bar says."""
MAIN = {"min-width": "0", "min-height": "0"}
"""Styles of what the pages lie in."""
THEME_COOKIE = "galaxy-explorer-theme"
"""Says what a visitor chose, or what the system had; see `session_beacon.js`."""
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
    "& .MuiLinearProgress-root": {
        "display": "none"
    },  # would never move: see `detach_page_from_session`
    "& .MuiToolbar-root": {"minHeight": "52px !important"},
    "& .MuiToolbar-root > .MuiBox-root": {"minWidth": 0, "overflow": "visible"},
    "& .MuiToolbar-root > .MuiBox-root:has(.title)": {"flexShrink": 0},
    "@media (max-width: 820px)": {
        # Its link too, which would have no name.
        "& .header a:has(.title)": {"display": "none !important"},
        "& .MuiToolbar-root": {"padding": "0 8px !important"},
    },
}


def main_page(project: Path | None = None) -> pn.viewable.Viewable:
    """The app for one visitor, or a page that says what is wrong and what helps.

    project: the folder of app.py, where paths of the settings begin that the working one has not.
    """
    if project is not None and project not in PROJECTS:
        PROJECTS.append(project)
    if pn.state.curdoc is not None:
        pn.state.curdoc.title = TITLE
        # Take Panel's style sheets from this server, whatever happens.
        pn.state.curdoc.template_variables["dist_url"] = LOCAL_DIST
    try:
        context = app_context()
    except (GalaxyExplorerError, OSError) as error:
        return error_page(error)
    warm_pages(context)
    routes.warm_map(context)
    if is_waking():
        return expired_page()
    wake_siblings()
    return build_page(context) if has_slot() else expired_page()


class Visit:
    """The app for one visitor: header, pages and drawer. Each page is made when first opened."""

    def __init__(self, context: AppContext, asked: dict[str, str]) -> None:
        self.context = context
        self.state = ExplorerState(context.bundle, pictures=context.first_pictures)
        self.pages = offered_pages(context)
        name, words = FORMER.get(asked.get("page", ""), (asked.get("page", ""), {}))
        self.asked = words | asked
        self.complaints = [
            f"This bundle has nothing for {page.title}."
            for known, page in PAGES.items()
            if known == name and known not in self.pages
        ]
        self.navigation = Navigation(
            entries=[[name, page.title, page.behind] for name, page in self.pages.items()],
            page=name if name in self.pages else LANDING, margin=(0, 8),
        )  # fmt: skip
        self.main = pn.Column(sizing_mode="stretch_both", margin=0, styles=MAIN)
        self.tools = HeaderTools(self.state, context, lambda: self.navigation.page)
        self.beacon = session_beacon()
        self.made: dict[str, pn.viewable.Viewer] = {}
        self._restore()
        on_map = self.navigation.page == LANDING
        self.drawer = Drawer(self.state, context, self.tools.export.open, on_map=on_map)
        self.open_page(self.navigation.page)
        self._watch()

    def _restore(self) -> None:
        """Bring the state to what the address asks for; say what could not be had."""
        with suppress(KeyError):
            colour = self.asked.get("colour", "")
            self.state.offer_colourings({colour: self.context.colourings.get(colour)[1]})
        self.complaints += restore(self.state, self.asked, self.context.selections)
        for complaint in self.complaints:
            pn.state.onload(partial(notify, complaint, warning=True))

    def _watch(self) -> None:
        state, navigation = self.state, self.navigation
        navigation.param.watch(
            lambda event: when_loaded(partial(self.open_page, event.new)), "page"
        )
        state.param.watch(
            lambda event: setattr(navigation, "page", event.new), "page", onlychanged=False
        )
        state.param.watch(self.write_address, ADDRESSED)
        state.display.param.watch(self.write_address, list(state.display.param.values()))

    def open_page(self, name: str) -> None:
        """Show a page, and the drawer as belongs to it."""
        if name not in self.pages:
            return
        if name not in self.made:
            self.made[name] = pn.panel(self.pages[name].make(self.state, self.context))
            self.main.append(self.made[name])
        for other, view in self.made.items():
            view.visible = other == name
        self.beacon.heading = self.pages[name].title
        if self.drawer.on_map != (name == LANDING):
            self.drawer.on_map = name == LANDING
            self.state.drawer = "auto"
            self.drawer.show()
        self.write_address()

    def write_address(self, *_: Any) -> None:
        """Have the address bar say what is shown."""
        page = self.navigation.page
        try:
            query = link_query(self.state, page, self.context.selections)
        except OSError:  # the disk is full: the address is without the selection
            query = link_query(self.state, page, None)
        self.navigation.address = query


def build_page(context: AppContext) -> pmui.Page:
    """The app for one visitor."""
    given = pn.state.session_args.items()
    visit = Visit(context, {word: values[0].decode(errors="replace") for word, values in given})
    at_map, state = visit.navigation.page == LANDING, visit.state
    as_first = at_map and not len(state.selection) and state.drawer != "closed"
    if pn.state.curdoc is not None and as_first and not {"view", "clusters"} & {*visit.asked}:
        pn.state.curdoc.template_variables["splash"] = splash(state)
    if not at_map:
        # A click before the page is loaded would change what is chosen but not what is shown.
        visit.main.styles = {**MAIN, "pointer-events": "none"}
        pn.state.onload(partial(visit.main.param.update, styles=MAIN))
    visit.main.append(visit.tools.export.dialog)
    whole = pn.Row(
        visit.main, visit.drawer, sizing_mode="stretch_both", margin=0,
        stylesheets=[asset("drawer.css")], css_classes=["whole"],
    )  # fmt: skip
    return _page(whole, header=[visit.navigation, visit.tools, visit.beacon])


ROOM = 1.03
"""Of what is seen at first, around all galaxies; as in `map_view.js`."""


def splash(state: ExplorerState) -> Html:
    """The first tiles of the map where the map will be, for a browser that reads scripts yet."""
    x0, y0, x1, y1 = map_tiles(state.bundle, state.clustering).extent
    extent = {
        "x": (x0 + x1) / 2, "y": 1 - (y0 + y1) / 2, "width": ROOM * (x1 - x0),
        "height": ROOM * (y1 - y0),
    }  # fmt: skip
    tiles = [
        {"address": address, "left": f"{left:.2%}", "top": f"{top:.2%}"}
        for address, (left, top) in first_tiles(state)
    ]
    return render("splash.splash", tiles=tiles, extent=extent)


def error_page(error: Exception) -> pmui.Page:
    """A page that says what is wrong and what helps."""
    of_bundle = isinstance(error, BundleError)
    text = render("pages.error", error=in_words(error), of_bundle=of_bundle)
    return _page(HtmlPane(text, margin=40, styles={"font-size": "16px", "max-width": "70ch"}))


def _page(
    main: pn.viewable.Viewable, header: list[pn.viewable.Viewable] | None = None
) -> pmui.Page:
    page = pmui.Page(
        title=TITLE,
        main=[main],
        header=header or [],
        dark_theme=not str(pn.state.cookies.get(THEME_COOKIE, "")).endswith("light"),
        theme_config=THEME,
        busy_indicator=None,
        template=asset("page.html"),
        meta_description="A map of galaxies sorted by a model that was never told their types.",
        sx=HEADER_STYLE,
    )
    return detach_page_from_session(page)
