"""Games of "real or synthetic?": one line of JSON each, in a file beside the log of labels.

A game says nothing of a galaxy, so that it is no label. The file only grows; a line that was cut
off by a crash is left out when it is read.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from galaxy_explorer.errors import NotSaved

SUFFIX = ".games.jsonl"
MOST_PAIRS = 1000
RECONSTRUCTION, ORIGINAL = "reconstruction", "original"
Name = Annotated[str, Meta(max_length=200)]


class Game(Struct, frozen=True, forbid_unknown_fields=True):
    """A game that was played to its end.

    prior: SHA-256 of the weights that drew, and its key. pictures: what the real galaxies were
    shown as. guidance, seed: of the samples. pairs: of each, the galaxy and the T both had; fooled:
    whether the sample was taken for the real one. at: UTC, ISO 8601.
    """

    prior: Name
    prior_sha256: Name
    bundle: Name
    pictures: Name
    seed: int
    pairs: Annotated[tuple[tuple[Name, float], ...], Meta(min_length=1, max_length=MOST_PAIRS)]
    fooled: Annotated[tuple[bool, ...], Meta(min_length=1, max_length=MOST_PAIRS)]
    at: Name = ""

    def __post_init__(self) -> None:
        if len(self.pairs) != len(self.fooled):
            raise ValueError("as many answers as pairs are expected")


def games_path(labels: Path) -> Path:
    """Where the games beside a log of labels are."""
    return labels.with_name(labels.name + SUFFIX)


def keep_game(path: Path, game: Game) -> Game:
    """Append a game and return it with its time; on disk when this returns, else NotSaved."""
    kept = msgspec.structs.replace(game, at=datetime.now(UTC).isoformat(timespec="seconds"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # One write: lines of several processes do not mix. A line that was cut off stays alone.
        with path.open("ab", buffering=0) as stream:
            stream.write(b"\n" + msgspec.json.encode(kept) + b"\n")
            os.fsync(stream.fileno())
    except OSError as error:
        raise NotSaved(f"{path}: the game was not kept ({error.strerror or error})") from error
    return kept


def read_games(path: Path) -> list[Game]:
    """The games of a file, oldest first; none where there is no file.

    A line that was cut short when the machine stopped is no game.
    """
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    games = []
    for line in filter(None, lines):
        try:
            games.append(msgspec.json.decode(line, type=Game))
        except msgspec.MsgspecError:
            continue
    return games
