"""The work of an ingest that any process can do: pictures of a block of rows become stamps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from galaxy_explorer.errors import BadImage, SurveyError
from galaxy_explorer.survey.catalog import CatalogRow
from galaxy_explorer.survey.photometry import ToneMap
from galaxy_explorer.survey.readers import Reader, Wanted
from galaxy_explorer.survey.shards import Shard, as_eight_bits, save_block
from galaxy_explorer.survey.stamps import IngestOptions, Stamp, check_fits, make_stamp


class StampsMade(NamedTuple):
    """What came of a block: numbers of the rows that have a stamp, the stamps without their pixels,
    and why the others have none.
    """

    kept: list[int]
    stamps: list[Stamp]
    refused: dict[int, str]


@dataclass(frozen=True)
class StampWork:
    """A block of so many `rows` of a catalogue, from row `start` on.

    wanted: number within the block, row and picture of those that have one; refused: why the others
    have none. cut: side in arcsec to cut out first. state, shape: of the survey's stamps. tone:
    what makes the source look like the survey. out: where the stamps go.
    """

    start: int
    rows: int
    reader: Reader
    wanted: tuple[tuple[int, CatalogRow, Wanted], ...]
    refused: Mapping[int, str]
    options: IngestOptions
    cut: float | None
    state: str
    shape: tuple[int, int, int]
    tone: ToneMap | None
    out: Path

    def write(self) -> StampsMade:
        """Make the stamps and write them, as 8 bits where they are that exactly.

        Raises SurveyError for a stamp with a pixel that is no number.
        """
        kept: list[int] = []
        stamps: list[Stamp] = []
        refused = dict(self.refused)
        pixels = np.empty((len(self.wanted), *self.shape), np.float32)
        images = self.reader.images([one for _, _, one in self.wanted])
        for (number, row, _), image in zip(self.wanted, images, strict=True):
            try:
                if isinstance(image, BadImage):
                    raise image
                stamp = make_stamp(image, row, self.options, cut=self.cut)
                check_fits(stamp, self.state, self.shape)
            except BadImage as error:
                refused[number] = error.reason
                continue
            pixels[len(kept)] = stamp.pixels
            kept.append(number)
            stamps.append(stamp._replace(pixels=pixels[:0]))
        made = pixels[: len(kept)]
        if self.tone and kept:
            made = self.tone.apply(made)
        if not np.isfinite(made).all():
            raise SurveyError(f"{self.out.name}: a stamp holds NaN or infinity")
        bits = as_eight_bits(made) if self.state == "arcsinh" else None
        save_block(self.out, made if bits is None else bits)
        return StampsMade(kept, stamps, refused)


def do_work(work: StampWork | Shard | None) -> Any:
    """Do a piece of work of an ingest, wherever it was sent."""
    return None if work is None else work.write()
