"""What a source has in common with those of other kinds, and what is left of it elsewhere.

A source knows which picture is that of a row; its reader only reads, and goes to other processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from galaxy_explorer.errors import BadImage
from galaxy_explorer.survey.images import Image


class FileState(NamedTuple):
    """Size and time of a file: what was opened of another state is not this one."""

    path: Path
    size: int
    time: int


def file_state(path: Path) -> FileState:
    """That of a file now. Raises OSError where there is none."""
    known = path.stat()
    return FileState(path.absolute(), known.st_size, known.st_mtime_ns)


class Wanted(NamedTuple):
    """A picture: where it is, as `locate` of its source says, and what messages call it."""

    place: Any
    name: str


class Reader:
    """Reads pictures of a source by their places. It is pickled; what it opens stays behind."""

    def read(self, place: Any, name: str) -> Image:
        """The picture. Raises BadImage where it cannot be used."""
        raise NotImplementedError

    def images(self, wanted: Sequence[Wanted]) -> Iterator[Image | BadImage]:
        """The pictures in order, an error in place of each that cannot be used."""
        for one in wanted:
            try:
                yield self.read(one.place, one.name)
            except BadImage as error:
                yield error


class BlockReader(Reader):
    """A reader whose `images` is the real work: one picture is a block of one."""

    def read(self, place: Any, name: str) -> Image:
        """The picture. Raises BadImage where it cannot be used."""
        found = next(self.images([Wanted(place, name)]))
        if isinstance(found, BadImage):
            raise found
        return found

    def images(self, wanted: Sequence[Wanted]) -> Iterator[Image | BadImage]:
        """The pictures in order, an error in place of each that cannot be used."""
        raise NotImplementedError
