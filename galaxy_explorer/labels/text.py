"""What text may be stored: whatever every export format gives back unchanged."""

from __future__ import annotations

import unicodedata

from galaxy_explorer.errors import LabelError

MAX_LABEL = 60
MAX_NAME = 60
MAX_NOTE = 500
MAX_ID = 200
"""Characters; an identifier is whatever a catalogue holds."""
CONTROLS = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Control characters, lone surrogates and line separators: no line of a table can hold them."""
NO_XML = frozenset("\ufffe\uffff")
"""The characters that XML, and so VOTable, refuses besides the control characters."""


def checked(text: object, field: str, limit: int, *, empty: bool = False) -> str:
    """Return `text` unchanged if it can be stored; `field` names it in the error.

    Raises LabelError for what is no text, empty (unless `empty`), longer than `limit` characters,
    with blanks at its ends, or with characters that a line of a table cannot hold.
    """
    if not isinstance(text, str):
        raise LabelError(f"{field}: text is needed, not {type(text).__name__}")
    if not text and not empty:
        raise LabelError(f"{field}: empty; write something")
    if len(text) > limit:
        raise LabelError(f"{field}: {len(text)} characters; at most {limit} are stored")
    if text != text.strip():
        raise LabelError(f"{field} {text[:40]!r}: remove the blanks at its ends")
    for character in text:
        if unicodedata.category(character) in CONTROLS or character in NO_XML:
            raise LabelError(f"{field} {text[:40]!r}: remove the character {character!r}")
    return text
