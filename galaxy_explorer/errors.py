"""Every error the package raises on purpose.

GalaxyExplorerError
├── BadImage         one picture cannot be used (file and reason)
├── BadCatalog       a table lacks a column or cannot be read
├── BadQuery         a search cannot be understood
├── Busy             the server has as much to do as it takes
├── NoHub            no program on this machine listens to SAMP
├── SurveyError      a survey folder is incomplete or does not fit the request
├── TrainingError    a training run cannot start, resume or continue
│   └── DeadNetwork  what a network makes of all galaxies is the same
├── BundleError      a bundle is missing, incomplete or altered
├── RequestError     galaxies are asked for that the emulator cannot make
├── LabelError       a label is refused, or the label log cannot be used
│   └── NotSaved     a label could not be written; trying again may help
├── SchedulerError   the workers or their scheduler were lost on the way
└── SettingError     a setting is unknown or out of its range

Each message names the file, the field and the cure.
"""

from __future__ import annotations

import errno

CURES = dict.fromkeys(
    (errno.ENOSPC, errno.EDQUOT), "; make room on that disk, or name another folder"
) | {errno.EROFS: "; name a folder that can be written to"}


class GalaxyExplorerError(Exception):
    """Base class: catch this to catch everything the package raises on purpose."""


class BadImage(GalaxyExplorerError):
    """One picture cannot be used; `source` names it and `reason` says why."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"{source}: {reason}")
        self.source = source
        self.reason = reason

    def __reduce__(self) -> tuple[type[BadImage], tuple[str, str]]:
        return type(self), (self.source, self.reason)  # as it comes back from another process


class BadCatalog(GalaxyExplorerError):
    """A catalogue cannot be read or lacks a column."""


class NoHub(GalaxyExplorerError):
    """No program on this machine listens to SAMP."""


class Busy(GalaxyExplorerError):
    """The server has as much to do as it takes; trying again helps."""


class BadQuery(GalaxyExplorerError):
    """A search cannot be understood, or names a column that there is not."""


class SurveyError(GalaxyExplorerError):
    """A survey folder is incomplete or does not fit the request."""


class TrainingError(GalaxyExplorerError):
    """A training run cannot start, resume or continue."""


class DeadNetwork(TrainingError):
    """What a network makes of all galaxies is the same, and no step will change that."""


class BundleError(GalaxyExplorerError):
    """A bundle is missing, incomplete or altered; the message names the file."""


class RequestError(GalaxyExplorerError):
    """Galaxies are asked for that the emulator cannot make; names field, value and range."""


class LabelError(GalaxyExplorerError):
    """A label is refused, or the label log cannot be used."""


class NotSaved(LabelError):
    """A label could not be written: disk full, log locked. Nothing of it is stored."""


class SchedulerError(GalaxyExplorerError):
    """The workers of a run, or their scheduler, were lost; what was done is kept."""


class SettingError(GalaxyExplorerError):
    """A setting is unknown or out of its range."""


def in_words(error: Exception) -> str:
    """One line on an error: of the disk, the file first, then what happened and what helps."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    place = f"{error.filename}: " if error.filename is not None else ""
    return f"{place}{error.strerror}{CURES.get(error.errno or 0, '')}"
