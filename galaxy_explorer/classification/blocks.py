"""Images classified block by block: one after the other, or by the workers of a scheduler."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from galaxy_explorer.bundle import Bundle, SharedBundle
from galaxy_explorer.bundle.placing import ALL, Choice, choose
from galaxy_explorer.classification.inputs import ImageBlock, Images, open_stack
from galaxy_explorer.classification.prepared import (
    Prepared,
    check_frame,
    prepare_image,
    prepare_picture,
)
from galaxy_explorer.classification.records import Classification, classify_stamps
from galaxy_explorer.classification.written import TableStream, make_table
from galaxy_explorer.errors import BadImage, SettingError, SurveyError
from galaxy_explorer.survey.preprocessing import ArcsinhStretch
from galaxy_explorer.survey.store import META, taken_lines
from galaxy_explorer.utils.scheduler import run_tasks

BATCH = 32
TASK_IMAGES = 256
MANY = 1000
"""Images from which on the default model alone looks at them, and the table is written in blocks"""
MAX_REJECTED = 30

Pictures = Sequence[tuple[str, Callable[[], Prepared]]]


@dataclass(frozen=True)
class Classifier:
    """What a worker needs to classify: the bundle, what is computed and how.

    frame, hdu, band: as in `classify_images`.
    """

    bundle: SharedBundle
    choice: Choice
    frame: str = "auto"
    hdu: int | None = None
    band: str | None = None

    @classmethod
    def of(
        cls, bundle: Bundle, wanted: Iterable[str], images: Images, **reading: Any
    ) -> Classifier:
        """The classifier of some images.

        wanted: models, as `placing.choose` takes them; without any, all of them look at up to MANY
        files, and the default ones at more or at stacks. Raises SettingError for another frame, and
        for what would choose nothing in a stack: all of `reading` in a survey, `hdu` elsewhere.
        """
        check_frame(reading.get("frame", "auto"))
        given = {name: value for name, value in reading.items() if value not in (None, "", "auto")}
        for path, _ in images.stacks:
            names, words = given.keys() & {"hdu"}, "only FITS files have HDUs"
            if (path / META).exists():
                names, words = set(given), "stamps of a survey are framed already"
            for name in sorted(names):
                raise SettingError(f"--{name} {given[name]}: {path}: {words}; leave it out")
        wanted = list(wanted)
        if not wanted and not images.stacks and len(images) <= MANY:
            wanted = [ALL]
        return cls(SharedBundle.of(bundle), choose(bundle, wanted), **reading)

    def classify(self, block: ImageBlock) -> list[Classification]:
        """Classify a block; a bad image gets its reason."""
        bundle = self.bundle.opened()
        if not block.stack:
            how = {"frame": self.frame, "hdu": self.hdu, "band": self.band}
            return list(classify_images(bundle, block.files, choice=self.choice, **how))  # type: ignore[arg-type]
        stack = open_stack(Path(block.stack))
        if stack.survey is None:
            pictures = [
                (stack.name(i), partial(self._prepared, bundle, stack.image, stack.name(i), i))
                for i in range(block.start, block.stop)
            ]
            return list(_classified(bundle, self.choice, pictures))
        survey, stored = stack.survey, bundle.manifest.survey
        shape = (stored.channels, stored.stamp_size)
        if shape != (survey.meta["channels"], survey.meta["stamp_size"]):
            raise SurveyError(
                f"{survey.path}: {survey.meta['channels']} bands of {survey.meta['stamp_size']} px,"
                f" {bundle.path} takes {shape[0]} of {shape[1]} px; ingest the pictures again so"
            )
        about = stored.stretch
        stretch = ArcsinhStretch(about["softening"], about["scale"], about["pedestal"])
        names = survey.table(block.start, block.stop, ["galaxy_id"])["galaxy_id"].to_pylist()
        found: list[Classification] = []
        for start in range(block.start, block.stop, BATCH):
            stamps = survey.block(start, min(start + BATCH, block.stop), stretch)
            found += classify_stamps(bundle, stamps, self.choice)
        return [replace(one, file=name) for one, name in zip(found, names, strict=True)]

    def _prepared(
        self, bundle: Bundle, read: Callable[[int], Any], name: str, index: int
    ) -> Prepared:
        return prepare_picture(bundle, read(index), name=name, frame=self.frame, band=self.band)


def classify_block(classifier: Classifier, block: ImageBlock) -> list[Classification]:
    """The task of a scheduler."""
    return classifier.classify(block)


def classify_images(
    bundle: Bundle,
    paths: Sequence[str | Path],
    *,
    frame: str = "auto",
    hdu: int | None = None,
    band: str | None = None,
    choice: Choice | None = None,
) -> Iterator[Classification]:
    """Classify image files one after the other, in batches; a bad one yields its reason.

    frame: "whole" resamples the largest central square; a number cuts that many central pixels
    first; "auto" frames the galaxy by its measured size where the bundle's survey was, else in
    linear FITS at 1.25 of its extent, and takes 8-bit pictures whole. hdu: extension of a FITS
    file, else the one that is the picture. band: planes of a cube, else the bundle's own where
    the header names them. choice: what is computed, else everything. Raises SettingError for
    another frame.
    """
    check_frame(frame)
    pictures = [
        (str(path), partial(prepare_image, bundle, path, frame=frame, hdu=hdu, band=band))
        for path in paths
    ]
    yield from _classified(bundle, choice, pictures)


def _classified(
    bundle: Bundle, choice: Choice | None, pictures: Pictures
) -> Iterator[Classification]:
    for start in range(0, len(pictures), BATCH):
        batch = pictures[start : start + BATCH]
        images: dict[int, Prepared] = {}
        reasons: dict[int, str] = {}
        for i, (_, prepare) in enumerate(batch):
            try:
                images[i] = prepare()
            except BadImage as error:
                reasons[i] = error.reason
        stamps = [prepared.stamp for prepared in images.values()]
        found = iter(classify_stamps(bundle, np.stack(stamps), choice) if stamps else ())
        for i, (name, _) in enumerate(batch):
            if i in reasons:
                yield Classification(name, reason=reasons[i])
            else:
                yield images[i].described(replace(next(found), file=name))


def classified_blocks(
    classifier: Classifier,
    images: Images,
    *,
    scheduler: str | None,
) -> Iterator[list[Classification]]:
    """Classify all of them, block by block in order, with progress."""
    found = run_tasks(
        partial(classify_block, classifier),
        images.blocks(BATCH if scheduler is None else TASK_IMAGES),
        scheduler=scheduler,
        total=len(images),
        words="Classifying",
        unit="images",
        weigh=len,
    )
    for _, records in found:
        yield records


@dataclass
class Written:
    """What was written of many images: figures, the first reasons, what was read of how many."""

    paths: list[Path] = field(default_factory=list)
    images: int = 0
    unusual: int = 0
    rejected: int = 0
    reasons: dict[str, str] = field(default_factory=dict)
    taken: Counter[str] = field(default_factory=Counter)

    def add(self, records: Sequence[Classification]) -> None:
        """Count a block."""
        self.images += len(records)
        self.unusual += sum(record.unusual for record in records)
        bad = {record.file: record.reason for record in records if record.reason}
        self.rejected += len(bad)
        for file, reason in bad.items():
            if len(self.reasons) < MAX_REJECTED:
                self.reasons[file] = reason
        self.taken.update(record.taken for record in records)

    @property
    def taken_words(self) -> list[str]:
        """What was read of how many images."""
        return taken_lines(list(self.taken.elements()))


def classify_to_table(
    classifier: Classifier,
    images: Images,
    out: Path,
    *,
    scheduler: str | None = None,
) -> Written:
    """Classify any number of images into a table, .csv, .ecsv or .parquet, in constant memory.

    FITS is collected first. Raises SettingError for more of it than MOST_FITS.
    """
    bundle, made = classifier.bundle.opened(), Written()
    stream, held = TableStream(out, len(images)), list[Classification]()

    def write() -> None:
        stream.append(make_table(bundle, held, classifier.choice))
        held.clear()

    try:
        for records in classified_blocks(classifier, images, scheduler=scheduler):
            made.add(records)
            held += records
            if len(held) >= MANY:
                write()
        if held:
            write()
    except BaseException as error:
        stream.abandon(error)
        raise
    made.paths = stream.finish()
    return made
