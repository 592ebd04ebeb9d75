"""What is asked of the emulator as words of the address, and back.

t=4&arms=.6&class=spiral&seed=7: a field that is not there is left to the prior, and so is t=any.
Everything is checked as if it had been typed; what cannot be had is left out and said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from galaxy_explorer.emulation.emulator import TTYPE, Field
from galaxy_explorer.emulation.request import USUAL_CHANGE, Like, Request
from galaxy_explorer.errors import RequestError

ANY = "any"
T_WORD, CLASS_WORD = "t", "class"
NUMBERS: dict[str, Callable[[str], Any]] = {
    "seed": int, "n": int, "number": int, "temperature": float, "guidance": float,
}  # fmt: skip
NAMES = {"n": "count", "number": "first"}
"""What a word of the address is called in a request."""
OWN_WORDS = frozenset({
    T_WORD, CLASS_WORD, "like", "change", "show", "prior", "telescope", "scale", "mag", "psf",
    *NUMBERS,
})  # fmt: skip
"""All words of the page but those of fields."""


def word_of(field: Field) -> str:
    """The word of a field; classes share one."""
    return T_WORD if field.name == TTYPE else field.name


def words_of(fields: Sequence[Field], request: Request) -> dict[str, str]:
    """The words that ask for a request of one number for each field."""
    words = {T_WORD: ANY} if any(field.name == TTYPE for field in fields) else {}
    for field in fields:
        value = request.condition.get(field.name)
        if isinstance(value, int | float):
            words |= {CLASS_WORD: field.name} if field.equals else {word_of(field): shortly(value)}
    words |= {"seed": str(request.seed), "n": str(request.count)}
    if request.first:
        words["number"] = str(request.first)
    if request.temperature != 1:
        words["temperature"] = shortly(request.temperature)
    if request.guidance is not None:
        words["guidance"] = shortly(request.guidance)
    if request.like is not None:
        words |= {"like": request.like.galaxy, "change": shortly(request.like.change)}
    return words


def shortly(value: float) -> str:
    """A number as it reads back exactly."""
    return repr(float(value)).removesuffix(".0")


def asked_by(
    words: Mapping[str, str],
    first: Request,
    fields: Sequence[Field],
    check: Callable[[Request], None],
) -> tuple[Request, list[str]]:
    """The request of an address, and what of it cannot be had, in sentences.

    first: what a page without words asks for. check: raises RequestError for what cannot be had.
    Words that are none of these are those of other pages.
    """
    request, complaints = first, []
    for word, text in words.items():
        try:
            changed = replace(request, **_change(word, text, request, fields, words))
            check(changed)
            request = changed
        except (RequestError, ValueError) as error:
            complaints.append(f"The link's {word} {text[:40]!r} cannot be had: {error}")
    return request, complaints


def _change(
    word: str, text: str, request: Request, fields: Sequence[Field], words: Mapping[str, str]
) -> dict[str, Any]:
    """What a word changes in a request."""
    if word == "like":
        return {"like": Like(text, float(words.get("change", USUAL_CHANGE)))}
    if word in NUMBERS:
        return {NAMES.get(word, word): NUMBERS[word](text)}
    one = {field.name for field in fields if (field.equals and word == CLASS_WORD)
           or (not field.equals and word == word_of(field))}  # fmt: skip
    if not one:
        return {}
    condition = {name: value for name, value in request.condition.items() if name not in one}
    if text != ANY and word == CLASS_WORD:
        condition[text] = 1.0
    elif text != ANY:
        condition[one.pop()] = float(text)
    return {"condition": condition}
