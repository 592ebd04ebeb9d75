"""What ships beside the code for the browser: scripts, styles, and the templates of all HTML.

HTML is written in `templates/*.html` alone. A template file holds macros, one a piece of a page;
`render` fills one with values and escapes each of them, so that no text of a catalogue, a bundle or
a visitor ever becomes a tag. Values come as words: numbers are formatted before.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.environment import TemplateModule
from markupsafe import Markup

_FOLDER = Path(__file__).parent
TEMPLATES = _FOLDER / "templates"


@cache
def asset(name: str) -> str:
    """The text of a script or style sheet of this package."""
    return (_FOLDER / "js" / name).read_text(encoding="utf-8")


class Html(Markup):
    """HTML that a template made: shown as it is by panes and inside other templates."""

    def _repr_html_(self) -> str:
        # Panel's panes ask for this; of a Markup they would escape the escapes.
        return str(self)


_ENVIRONMENT = Environment(
    loader=FileSystemLoader(TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def pieces(name: str) -> TemplateModule:
    """The macros of `templates/<name>.html`, as functions."""
    return _ENVIRONMENT.get_template(f"{name}.html").module


def render(name: str, /, **values: object) -> Html:
    """HTML of a piece of a page: `render("claims.cards", ...)` fills a macro of claims.html.

    Each value is escaped but for what `render` itself returned. Raises AttributeError, TypeError or
    jinja2.UndefinedError for a piece or a value that there is not.
    """
    file, piece = name.split(".")
    return Html(getattr(pieces(file), piece)(**values))
