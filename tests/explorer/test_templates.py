"""HTML comes from templates alone, and no value of a template becomes a tag."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import jinja2
import pytest
from markupsafe import escape

from galaxy_explorer.explorer.assets import TEMPLATES, Html, pieces, render
from galaxy_explorer.explorer.widgets.components import HtmlPane

EXPLORER = TEMPLATES.parent
HOSTILE = "</p>'\"><script>alert(1)</script>"
PIECES = [
    (path.stem, name)
    for path in sorted(TEMPLATES.glob("*.html"))
    for name, piece in vars(pieces(path.stem)).items()
    if isinstance(piece, jinja2.runtime.Macro) and name != "line"  # takes no values
]
TAG = re.compile(r"</?[a-zA-Z][a-zA-Z0-9]*(?:\s[^<>]*)?/?>")
HTML_IN_PYTHON: dict[str, str] = {}
"""Module: why a string of it looks like HTML. Nothing is allowed to."""


class Anything:
    """A value of whatever shape a template asks for, hostile in every text of it."""

    def __init__(self, truth: bool) -> None:
        self._truth = truth

    def __getattr__(self, name: str) -> Self:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __getitem__(self, _: object) -> Self:
        return self

    def __iter__(self) -> Iterator[Self]:
        return iter([self, self])

    def __len__(self) -> int:
        return 4

    def __bool__(self) -> bool:
        return self._truth

    def __str__(self) -> str:
        return HOSTILE


@pytest.mark.parametrize("truth", [True, False])
def test_every_text_of_every_template_is_shown_literally(truth):
    unsafe = []
    for file, name in PIECES:
        arguments = getattr(pieces(file), name).arguments
        shown = render(f"{file}.{name}", **{one: Anything(truth) for one in arguments})
        harmless = str(shown).replace(str(escape(HOSTILE)), "")
        if "alert(1)" in harmless:
            unsafe.append(f"{file}.{name}")
        if truth and arguments:
            assert str(escape(HOSTILE)) in shown, f"{file}.{name} shows none of its values"
    assert len(PIECES) > 50
    assert unsafe == []


def test_a_template_that_asks_for_more_than_it_is_given_says_so():
    with pytest.raises(jinja2.UndefinedError):
        render("parts.soft")
    with pytest.raises(TypeError):
        render("parts.soft", words="", more="")
    with pytest.raises(AttributeError):
        render("parts.no_such_piece")


def test_templates_mark_nothing_as_safe():
    found = [
        path.name
        for path in TEMPLATES.glob("*")
        if path.suffix != ".html" or re.search(r"\|\s*safe\b|autoescape", path.read_text("utf-8"))
    ]
    assert found == []


def test_a_pane_shows_what_a_template_made_and_any_other_text_literally():
    assert HtmlPane(render("parts.soft", words="<b>")).get_root().text == escape_once(
        '<p class="soft">&lt;b&gt;</p>'
    )
    assert HtmlPane("<b>x</b>").get_root().text == escape_once("&lt;b&gt;x&lt;/b&gt;")


def escape_once(html: str) -> str:
    """As Panel sends HTML to the browser, which turns it back."""
    return str(escape(html)).replace("&#34;", "&quot;")


def test_no_module_writes_html():
    offenders = []
    for path in sorted(EXPLORER.rglob("*.py")):
        name = path.relative_to(EXPLORER).as_posix()
        for line, text in strings(path):
            if TAG.search(text) and name not in HTML_IN_PYTHON:
                offenders.append(f"{name}:{line}: {text[:60]!r}")
    assert offenders == []


def test_html_is_marked_as_such_by_render_alone():
    makers = re.compile(r"\b(?:Markup|Html)\((?!\))")
    offenders = [
        path.relative_to(EXPLORER).as_posix()
        for path in sorted(EXPLORER.rglob("*.py"))
        if makers.search(path.read_text("utf-8")) and path.name != "assets.py"
    ]
    assert offenders == []
    assert isinstance(render("parts.soft", words=""), Html)


def strings(path: Path) -> Iterator[tuple[int, str]]:
    """Line and text of every string of a module that is no docstring."""
    tree = ast.parse(path.read_text("utf-8"))
    words = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = (part.value if isinstance(part, ast.Constant) else "x" for part in node.values)
            yield node.lineno, "".join(map(str, parts))
        elif (
            isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in words
        ):
            yield node.lineno, node.value
