"""Browser components of the Emulator page; they know nothing of priors and bundles."""

from __future__ import annotations

from pathlib import Path

import param

from galaxy_explorer.explorer.esm import SHEET_FORMAT, STYLES, Reporting, script

_OWN = (Path(__file__).parent / "js" / "emulator.css").read_text(encoding="utf-8")


class _Dressed(Reporting):
    """A component in the styles of the page."""

    _stylesheets = [STYLES, _OWN]  # noqa: RUF012
    __abstract = True


class ConditionField(_Dressed):
    """One quantity that may be asked for; reports {"value": number or None}."""

    label = param.String(doc="What it is.")
    unit = param.String(doc="Its unit.")
    explanation = param.String(doc="Shown when the slider is pointed at.")
    low = param.Number(default=0.0, doc="Least value that the slider offers.")
    high = param.Number(default=1.0, doc="Greatest value that the slider offers.")
    step = param.Number(default=0.1, doc="Step of the slider.")
    value = param.Number(default=None, allow_None=True, doc="What is asked for; None: not fixed.")
    rest = param.Number(default=0.0, doc="Where the slider stands while nothing is fixed.")
    free = param.String(default="any", doc="Word for not fixed; empty: it always is.")
    free_words = param.String(doc="What not fixed means.")
    refusals = param.Integer(default=0, doc="Counts what was refused; the value is shown again.")
    chips = param.List(default=[], doc="Values with a button of their own.")
    colours = param.List(default=[], doc="Colours along the slider, one a chip where there are.")

    _esm = script("condition.js")


class JobBar(_Dressed):
    """How far slow work is; reports {"cancel": true} and {"again": true}."""

    words = param.String(doc="What is going on.")
    refused = param.Boolean(default=False, doc="Whether the words refuse something.")
    resumable = param.Boolean(default=False, doc="Whether what was stopped can be begun again.")
    running = param.Boolean(default=False, doc="Whether there is anything to cancel.")
    share = param.Number(default=0.0, bounds=(0, 1), doc="Share of the work that is done.")
    done = param.Integer(default=0, doc="Counts the pieces of work that have ended.")

    _esm = script("job.js")


class SampleCards(_Dressed):
    """Synthetic galaxies, each beside a real one; reports {"sample": number}, {"focus": row}."""

    sheet = param.Bytes(default=None, doc="All synthetic galaxies as one image file.")
    real_sheet = param.Bytes(default=None, doc="The real ones in the same order; None: not yet.")
    sheet_format = param.String(default=SHEET_FORMAT, doc="Media type of both sheets.")
    sheet_columns = param.Integer(default=8, doc="Pictures side by side in a sheet.")
    count = param.Integer(default=0, doc="Number of synthetic galaxies.")
    cards = param.List(default=[], doc="row, words and lines of the real galaxy beside each.")
    words = param.String(default="Synthetic galaxy", doc="What was asked for, for alt text.")
    heading = param.String(default="", doc="What is shown, in words.")
    chosen = param.Integer(default=-1, doc="Number of the galaxy that is marked; -1: none.")
    twins = param.Boolean(default=False, doc="Whether each picture is two, side by side.")
    stamp = param.Integer(default=0, doc="Counts the drawings; echoed once painted.")

    _esm = script("samples.js")


class LadderTable(_Dressed):
    """Types from left to right, real galaxies above synthetic ones; reports {"real": place}."""

    sheet = param.Bytes(default=None, doc="All synthetic galaxies as one image file, by line.")
    real_sheet = param.Bytes(default=None, doc="All real galaxies as one image file, by line.")
    sheet_format = param.String(default=SHEET_FORMAT, doc="Media type of both sheets.")
    columns = param.List(default=[], doc="words and colour of each type.")
    lines = param.List(default=[], doc="label, note, synthetic, first place of each line.")
    ready = param.Integer(default=0, doc="Number of synthetic galaxies that are there.")
    real_names = param.List(default=[], doc="Name of the real galaxy at each place; empty: none.")
    heading = param.String(default="", doc="What is shown, in words.")
    stamp = param.Integer(default=0, doc="Counts the drawings; echoed once painted.")

    _esm = script("ladder.js")


class TypeMorph(_Dressed):
    """One synthetic galaxy whose type the visitor drags, all in the browser."""

    sheet = param.Bytes(default=None, doc="All frames as one image file.")
    sheet_format = param.String(default=SHEET_FORMAT, doc="Media type of the sheet.")
    sheet_columns = param.Integer(default=8, doc="Frames side by side in the sheet.")
    values = param.List(default=[], doc="Type of each frame.")
    low = param.Number(default=-3.0, doc="Least type.")
    high = param.Number(default=6.0, doc="Greatest type.")
    step = param.Number(default=0.25, doc="Step of the slider.")
    start = param.Number(default=0.0, doc="Type that is shown first.")
    colours = param.List(default=[], doc="Colours along the slider.")
    words = param.String(default="", doc="What else was asked for, for alt text.")
    heading = param.String(default="", doc="What is shown, in words.")
    stamp = param.Integer(default=0, doc="Counts the drawings; echoed once painted.")

    _esm = script("morph.js")
