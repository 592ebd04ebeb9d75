"""Small browser components: navigation, pages of pictures, small multiples, strips, tables.

Each shows what it is given and reports clicks, always with the number of what was clicked. They
know nothing of galaxies, clusterings and priors, and load nothing but what is in this package. Text
is shown literally, but for what a template made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import repeat
from typing import Any

import panel as pn
import param
from panel.custom import JSComponent

from galaxy_explorer.explorer.assets import Html, asset

STYLES = asset("components.css")
TABLE_STYLES = [STYLES, asset("scores.css")]
CARD_STYLES = [asset("claims.css"), asset("intervals.css")]


def script(*names: str) -> str:
    """The code of a component: the helpers, then these files."""
    return "\n".join(asset(name) for name in ("grid.js", *names))


def when_loaded(change: Callable[[], Any]) -> None:
    """Make a change that the browser asked for, under the document's lock.

    Between sending a page and hearing that it is there, Panel drops changes: they have to wait.
    """
    pn.state.onload(partial(pn.state.execute, change, schedule=True))


class HtmlPane(pn.pane.HTML):
    """Shows HTML that a template made; any other text literally."""

    priority = None  # never chosen by Panel itself

    def _transform_object(self, obj: Any) -> dict[str, Any]:
        shown: dict[str, Any] = super()._transform_object(Html.escape("" if obj is None else obj))
        return shown


class View(pn.viewable.Viewer):
    """A part of a page, with what it knows; what is seen of it is its `view`."""

    view: Any

    def __panel__(self) -> Any:
        return self.view


class MessageComponent(JSComponent):
    """A component whose messages from the browser go to one callback."""

    _stylesheets = [STYLES]  # noqa: RUF012
    __abstract = True

    def __init__(
        self, on_message: Callable[[dict[str, Any]], Any] | None = None, **params: Any
    ) -> None:
        params.setdefault("sizing_mode", "stretch_width")
        super().__init__(**params)
        self.on_message = on_message

    def _handle_msg(self, data: Any) -> None:
        if self.on_message is not None and isinstance(data, dict):
            when_loaded(partial(self.on_message, data))


class Navigation(JSComponent):
    """The pages as links and a menu; the one that is open is `page`, and a click sets it.

    `address` is the query of the address bar: what the visitor sees, written there as it changes.
    """

    entries = param.List(default=[], doc="[name, title, whether it is in the menu] of each page.")
    page = param.String(doc="Name of the page that is open.")
    address = param.String(doc="Query of the address, but for what the browser alone knows.")

    _esm = script("navigation.js")
    _stylesheets = [asset("navigation.css")]  # noqa: RUF012


class SessionBeacon(MessageComponent):
    """Nothing to be seen; reports {"left": true} when the page is left for good.

    When a dropped connection is there again it reports {"back": true}.
    """

    visit = param.String(doc="Names the session; no other has it.")
    heading = param.String(doc="Title of the page that is open, for screen readers.")

    _esm = script("session_beacon.js")

    def _handle_msg(self, data: Any) -> None:
        # A page that is left before it was loaded never is: this cannot wait.
        if self.on_message is not None and isinstance(data, dict):
            self.on_message(data)


class SearchField(MessageComponent):
    """The search field of the header; reports {"ask": text} when the visitor asks."""

    text = param.String(default="", doc="What is written into the field from here.")
    hint = param.String(default="", doc="What the empty field shows.")
    label = param.String(default="Find galaxies", doc="What the field is, for screen readers.")
    explanation = param.String(default="", doc="Shown when pointed at.")

    _esm = script("search.js")


class NumberField(MessageComponent):
    """A number that is typed; reports {"value": number, text that is none, or None if empty}."""

    label = param.String(doc="What it is.")
    hint = param.String(doc="What the empty field shows.")
    value = param.Number(default=None, allow_None=True, doc="The number; None: the field is empty.")
    refusals = param.Integer(default=0, doc="Counts what was refused; the value is shown again.")

    _esm = script("number.js")


class CopyTexts(MessageComponent):
    """Texts to take along, each with a button that copies it."""

    texts = param.List(default=[], doc="label, text ({page}: this page's address), lines of each.")

    _esm = script("copy_texts.js")


class DropZone(MessageComponent):
    """Where a file is dropped or chosen; reports its name, size and data (None if too large)."""

    words = param.String(default="Drop a file here", doc="What the zone asks for.")
    accept = param.String(default="", doc="Kinds of file that the chooser offers.")
    limit = param.Integer(default=1_000_000, doc="Bytes above which a file is not read.")
    busy = param.Boolean(default=False, doc="Whether nothing is taken just now.")

    _esm = script("drop_zone.js")


class TileSheet(MessageComponent):
    """Pictures cut from one sheet image, in rows, or as a table where columns have headings.

    Reports {"tile": number}, {"row": number, "add": shift} and {"page": number}. rows: dicts.
    "tiles": a list of dicts with "id", "words" (for those who point or listen), "place" in the
    sheet and, where there is any, "note" (on the picture), "colour" (a bar below it) and "foot"
    (pairs of a text and whether it stands out); None leaves a cell of a table empty. "title": the
    heading, a button where there is an "id" and "words", with "colour" (a dot), "count", "bars" and
    "tints" (a histogram of Hubble types), "notes" (lines), "share" (0..1, a bar below all),
    "unstable" (a dotted frame).
    """

    kind = param.String(default="", doc="What kind of sheet it is, for its looks.")
    sheet = param.Bytes(default=None, doc="All pictures as one image file.")
    sheet_columns = param.Integer(default=1, doc="Pictures side by side in the sheet.")
    sheet_rows = param.Integer(default=1, doc="Rows of pictures in the sheet.")
    columns = param.List(default=[], doc="name and note of each column; rows are then a table.")
    rows = param.List(default=[], doc="Rows of tiles, from the top.")
    tile_width = param.Integer(default=56, doc="Least width of a picture (CSS pixels).")
    row_width = param.Integer(default=0, doc="Least width of rows side by side; 0: a line each.")
    framed = param.Boolean(default=False, doc="Frame the middle ninth of each picture.")
    chosen = param.List(default=[], doc="Numbers of the tiles that are marked.")
    chosen_rows = param.List(default=[], doc="Numbers of the rows that are marked.")
    label = param.String(default="Galaxies", doc="What the tiles are, where no heading says so.")
    pictures_words = param.String(default="", doc="What a picture is, before its words.")
    heading = param.String(default="", doc="What is shown, in words.")
    page = param.Integer(default=0, doc="Page that is shown, from 0.")
    pages = param.Integer(default=1, doc="Number of pages.")
    stamp = param.Integer(default=0, doc="Counts the drawings; echoed once painted.")

    _esm = script("bars.js", "tile_sheet.js")
    _stylesheets = [STYLES, asset("tile_sheet.css")]  # noqa: RUF012


def galaxy_tiles(
    rows: Iterable[int], words: Iterable[str], columns: int, notes: Iterable[str] = repeat("")
) -> dict[str, Any]:
    """What a sheet shows of galaxies, `columns` of which stand side by side in its picture."""
    tiles = [
        {"id": int(row), "place": place, "words": said, "note": note}
        for place, (row, said, note) in enumerate(zip(rows, words, notes, strict=False))
    ]
    lines = max(1, -(-len(tiles) // columns))
    return {"rows": [{"tiles": tiles}], "sheet_columns": columns, "sheet_rows": lines}


def strip(
    title: str, note: str, words: str, first: int, columns: list[dict[str, Any]], *,
    figures: Sequence[tuple[str, bool]] = (),
) -> dict[str, Any]:  # fmt: skip
    """A row of a table of pictures: one picture a galaxy, from place `first` of the sheet on.

    columns: id, name and words of each galaxy; figures: what stands below, and whether it is best.
    """
    tiles: list[dict[str, Any]] = [
        {"id": one["id"], "place": first + place, "words": f"{words} of {one['words']}"}
        for place, one in enumerate(columns)
    ]
    for tile, figure in zip(tiles, figures, strict=False):
        tile["foot"] = [figure]
    return {"title": title, "notes": [note] if note else [], "tiles": tiles}


class CodebookSteps(TileSheet):
    """Codebooks from few codes to many: pictures, figures and flows of all of them, one is shown.

    Reports {"tile": row}, {"link": [left, right]}, {"node": [side, band]}, {"movers": true} and
    {"clear": true}.
    """

    steps = param.List(default=[], doc="What `steps.step_values` gives, of each way and size.")
    dials = param.List(default=[], doc="name, question, explanation, ends of each dial.")
    ways = param.List(default=[], doc="What `steps.way_values` gives, of each way of learning.")
    way: Any = param.Selector(objects=[""], doc="Way of learning that is shown.")
    codes: Any = param.Selector(objects=[""], doc="Number of codes that is shown.")
    sides = param.List(default=[], doc="Sides of the code map: the usual one, and a larger one.")
    code_map: Any = param.Selector(objects=[""], doc="The larger side where both are shown.")
    picked = param.List(default=[], doc="Selected galaxies of each pair of bands; empty: none.")
    selected = param.Boolean(default=False, doc="Whether anything is selected.")

    _esm = script("flow.js", "dial.js", "codebooks.js")
    _stylesheets = [STYLES, asset("codebooks.css")]  # noqa: RUF012


class ScoreTable(MessageComponent):
    """A table of figures that sorts by any column."""

    columns = param.List(default=[], doc="name, explanation; small: less is better, per column.")
    rows = param.List(default=[], doc="side and cells (text, sort, note, best) of each row.")

    _esm = script("scores.js")
    _stylesheets = TABLE_STYLES


class CodeMap(MessageComponent):
    """A picture with a grid of codes over it; reports {"code": number}."""

    picture = param.Bytes(default=None, doc="The galaxy as an image file.")
    codes = param.List(default=[], doc="Codes of the cells, line by line from the top.")
    colours = param.List(default=[], doc="Colour of each code of the codebook.")
    side = param.Integer(default=8, doc="Cells along a side.")
    opacity = param.Number(default=0.35, bounds=(0, 1), doc="Opacity of the colours.")
    chosen = param.Integer(default=-1, doc="Code whose cells are marked; -1: none.")
    words = param.String(default="", doc="The picture, for alt text.")
    caption = param.String(default="", doc="What is shown, in words.")

    _esm = script("code_map.js")


class LabelDesk(MessageComponent):
    """One galaxy after the other, or grids of them, with keys that assign labels.

    Reports {"do": "name", "save", "more" or "at", ...}; what it is told by `_send_msg` answers
    "save" ("saved", "refused", "failed", "said", "show") and "name" ("name_error"), or says that
    the galaxies after those on the screen are to be asked for "anew".
    """

    annotator = param.String(default="", doc="Who labels; empty: the page asks.")
    login = param.Boolean(default=False, doc="Whether the name is that of a login.")
    terms = param.List(default=[], doc="label, key, words, kind, aspect, colour, note of each.")
    window = param.Dict(
        default={"serial": 0, "cursor": 0, "first": 0, "total": 0, "items": []},
        doc="Part of the queue: items from place first on, and the place that is shown.",
    )
    picture = param.String(default="", doc="Address of a picture, with @row for the row.")
    pictures_words = param.String(default="Picture", doc="What the pictures are, for alt text.")
    preview = param.Integer(default=0, doc="Row of the picture before anybody labels.")
    empty = param.String(default="", doc="What is said at the end of the queue.")
    way = param.String(default="one", doc="One galaxy at a time, or a grid.")

    _esm = script("outbox.js", "labelling_keys.js", "labelling_grid.js", "labelling.js")
    _stylesheets = [STYLES, asset("labelling.css")]  # noqa: RUF012

    def tell(self, answer: dict[str, Any]) -> None:
        """Send the browser an answer."""
        self._send_msg(answer)


class DownloadButtons(MessageComponent):
    """Buttons that ask for a file, {"kind": name}; the file goes to the browser with `stamp`."""

    label = param.String(default="Download", doc="Words before the buttons.")
    kinds = param.List(default=[], doc="[kind, title] of each button.")
    data = param.Bytes(default=None, doc="The file; None: there is none to hand over.")
    file_name = param.String(default="", doc="Name of the file.")
    media_type = param.String(default="", doc="Media type of the file.")
    stamp = param.Integer(default=0, doc="Counts the files.")

    _esm = script("downloads.js")


class _EmulatorComponent(MessageComponent):
    """A component in the styles of the page."""

    real_mark = param.String(default="REAL", doc="What stands on pictures of survey galaxies.")

    _stylesheets = [STYLES, asset("emulator.css")]  # noqa: RUF012
    __abstract = True


class ConditionField(_EmulatorComponent):
    """One quantity that may be asked for; reports {"value": number or None}."""

    label = param.String(doc="What it is.")
    unit = param.String(doc="Its unit.")
    explanation = param.String(doc="Shown when the slider is pointed at.")
    low = param.Number(default=0.0, doc="Least value that the slider offers.")
    high = param.Number(default=1.0, doc="Greatest value that the slider offers.")
    step = param.Number(default=0.1, doc="Step of the slider.")
    log = param.Boolean(default=False, doc="Whether the slider goes by ratios.")
    value = param.Number(default=None, allow_None=True, doc="What is asked for; None: not fixed.")
    rest = param.Number(default=0.0, doc="Where the slider stands while nothing is fixed.")
    free = param.String(default="any", doc="Word for not fixed; empty: it always is.")
    free_words = param.String(doc="What not fixed means.")
    refusals = param.Integer(default=0, doc="Counts what was refused; the value is shown again.")

    _esm = script("condition.js")


class JobBar(_EmulatorComponent):
    """How far slow work is; reports {"cancel": true} and {"again": true}."""

    words = param.String(doc="What is going on.")
    refused = param.Boolean(default=False, doc="Whether the words refuse something.")
    resumable = param.Boolean(default=False, doc="Whether what was stopped can be begun again.")
    running = param.Boolean(default=False, doc="Whether there is anything to cancel.")
    share = param.Number(default=0.0, bounds=(0, 1), doc="Share of the work that is done.")
    done = param.Integer(default=0, doc="Counts the pieces of work that have ended.")

    _esm = script("job.js")


class SampleCards(_EmulatorComponent):
    """Synthetic galaxies, each beside a real one; reports {"sample": number}, {"focus": row}."""

    sheet = param.Bytes(default=None, doc="All synthetic galaxies as one image file.")
    real_sheet = param.Bytes(default=None, doc="The real ones in the same order; None: not yet.")
    sheet_columns = param.Integer(default=8, doc="Pictures side by side in a sheet.")
    count = param.Integer(default=0, doc="Number of synthetic galaxies.")
    cards = param.List(default=[], doc="row, words and lines of the real galaxy beside each.")
    words = param.String(default="Synthetic galaxy", doc="What was asked for, for alt text.")
    heading = param.String(default="", doc="What is shown, in words.")
    chosen = param.Integer(default=-1, doc="Number of the galaxy that is marked; -1: none.")
    twins = param.Boolean(default=False, doc="Whether each picture is two, side by side.")
    pending = param.Boolean(default=False, doc="Whether they are those of a request before.")
    stamp = param.Integer(default=0, doc="Counts the drawings; echoed once painted.")

    _esm = script("samples.js")


class LadderTable(_EmulatorComponent):
    """Types from left to right, real galaxies above synthetic ones; reports {"real": place}."""

    sheet = param.Bytes(default=None, doc="All synthetic galaxies as one image file, by line.")
    real_sheet = param.Bytes(default=None, doc="All real galaxies as one image file, by line.")
    columns = param.List(default=[], doc="words and colour of each type.")
    lines = param.List(default=[], doc="label, note, synthetic, first place of each line.")
    ready = param.Integer(default=0, doc="Number of synthetic galaxies that are there.")
    real_names = param.List(default=[], doc="Name of the real galaxy at each place; empty: none.")
    heading = param.String(default="", doc="What is shown, in words.")
    stamp = param.Integer(default=0, doc="Counts the drawings; echoed once painted.")

    _esm = script("ladder.js")


class TypeMorph(_EmulatorComponent):
    """A synthetic galaxy whose type the visitor drags, all in the browser.

    Reports {"value": type or None} when the slider is let go.
    """

    sheet = param.Bytes(default=None, doc="All frames as one image file.")
    sheet_columns = param.Integer(default=8, doc="Frames side by side in the sheet.")
    label = param.String(doc="What the slider changes.")
    values = param.List(default=[], doc="Type of each frame, evenly spaced.")
    value = param.Number(default=None, allow_None=True, doc="Type asked for; None: not fixed.")
    rest = param.Number(default=0.0, doc="Where the slider stands while nothing is fixed.")
    free_words = param.String(doc="What not fixed means.")
    refusals = param.Integer(default=0, doc="Counts what was refused; the value is shown again.")
    colours = param.List(default=[], doc="Colours along the slider.")
    words = param.String(default="", doc="What else was asked for, for alt text.")
    heading = param.String(default="", doc="What is shown, in words.")
    original = param.Bytes(default=None, doc="What the frames are like, as an image file.")
    original_words = param.String(default="", doc="What it is; empty: there is none.")
    stamp = param.Integer(default=0, doc="Counts the drawings; echoed once painted.")

    _esm = script("morph.js")


class PairGame(_EmulatorComponent):
    """Pairs of pictures of which one is to be chosen; reports {"begin": true} and {"answers": []}.

    An answer is "left" or "right". Which was right comes with `truth`, when all are answered.
    """

    sheet = param.Bytes(default=None, doc="All pairs as one image file, a pair in each line.")
    count = param.Integer(default=0, doc="Number of pairs.")
    playing = param.Boolean(default=False, doc="Whether it was begun.")
    heading = param.String(default="", doc="What is asked.")
    truth = param.List(default=[], doc="left is real, rightly told, name of each pair.")
    words = param.String(default="", doc="What came of it.")
    stamp = param.Integer(default=0, doc="Counts the drawings; echoed once painted.")

    _esm = script("game.js")


class BrushStrip(MessageComponent):
    """Small histograms that are brushed, side by side, each of a column of a catalogue.

    Reports {"brush": name, "spans": [[from, to], ...], "words": [...], "missing": bool, "final":
    bool, "serial": number}, an end of null being open; {"clear": name or "" for all}, {"base":
    false}, {"add": name} and {"remove": name}. While a brush moves (not final), `tell` answers
    with what the histograms show now, and the serial number of the report.
    """

    histograms = param.List(default=[], doc="What `brushes.histogram` gives, one a column.")
    fronts = param.List(default=[], doc="Galaxies that pass, of each histogram's bars.")
    brushes = param.Dict(default={}, doc="spans, words, missing and told of each brushed column.")
    count = param.String(default="", doc="How many galaxies pass: “12 of 1,200”.")
    none = param.Boolean(default=False, doc="Whether none passes.")
    base = param.String(default="", doc="What else narrows, in words; empty if nothing does.")
    offered = param.List(default=[], doc="[name, words] of the columns that can be added.")

    _esm = script("brush_histogram.js", "brushes.js")
    _stylesheets = [STYLES, asset("brushes.css")]  # noqa: RUF012

    def tell(self, answer: dict[str, Any]) -> None:
        """Send the browser an answer."""
        self._send_msg(answer)
