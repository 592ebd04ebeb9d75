"""The one component for sheets of pictures: tiles in rows, with or without headings."""

from __future__ import annotations

import param

from galaxy_explorer.explorer.widgets.components import MessageComponent, script


class TileSheet(MessageComponent):
    """Pictures from one sheet, in rows; reports {"tile": number}, {"row": number, "add": shift}.

    rows: dicts. "tiles": a list of dicts with "id", "words" (for those who point or listen),
    "place" in the sheet and, where there is any, "colour" (a bar below the picture) and "foot"
    (pairs of a text and whether it stands out); None leaves a cell of a table empty. "title": the
    heading, a button where there is an "id" and "words", with "colour" (a dot), "count", "bars" and
    "tint" (a histogram of Hubble types), "notes" (lines), "unstable" (a
    dotted frame).
    """

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
    label = param.String(default="Pictures", doc="What the tiles are, for screen readers.")
    pictures_words = param.String(default="", doc="What a picture is, before its words.")
    heading = param.String(default="", doc="What is shown, in words.")
    stamp = param.Integer(default=0, doc="Counts the drawings; echoed once painted.")

    _esm = script("bars.js", "tile_sheet.js", "tile_rows.js")
