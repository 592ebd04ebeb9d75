"""The version, and every setting of the app: name, default, unit, reason (from the environment)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from galaxy_explorer.errors import SettingError

VERSION = "0.1.0"
PREFIX = "GALAXY_EXPLORER_"


@dataclass(frozen=True)
class Setting:
    """One setting; its environment variable is `GALAXY_EXPLORER_` and the name in capitals.

    most, least: the range of a whole number.
    """

    name: str
    default: str | int
    unit: str
    reason: str
    most: int = 1
    least: int = 0

    @property
    def range(self) -> str:
        """The range in words; empty for text."""
        return "" if isinstance(self.default, str) else f"{self.least} to {self.most}"


SETTINGS = (
    Setting("bundle", "trained/sdss", "path", "the bundle that the app shows"),
    Setting("survey", "", "path", "survey with the original stamps; empty: reconstructions only"),
    Setting("sdss_cutouts", 0, "0 or 1", "1 offers pictures from the SDSS cutout service"),
    Setting("cutout_timeout", 5, "s", "an unreachable service must not hold a visitor up", 60, 1),
    Setting("cache", "", "path", "decoded pictures; empty: the user's cache folder"),
    Setting("labels", "", "path", "the log of labels; empty: in the user's data folder"),
    Setting("picture_cache", 64, "MB", "tiles and sheets in memory; each is about 20 kB", 16_384),
    Setting("samp", 0, "0 or 1", "1 offers SAMP: where server and browser share one machine"),
    Setting(
        "kept_selections", 5000, "selections", "links name them; a bit a galaxy on disk each",
        1_000_000, 1,
    ),
    Setting("upload_megabytes", 14, "MB", "a message over 20 MB would end the connection", 14, 1),
    Setting("upload_seconds", 120, "s", "a picture that takes longer is given up", 3600, 1),
    Setting("max_explorers", 8, "explorers", "each takes memory; the next one waits", 1000, 1),
    Setting("absence", 30, "s", "a dropped connection keeps its place so long", 86_400),
    Setting("hosts", "", "names", "names that the server answers to, between commas; *: any"),
    Setting("frames", "", "origins", "sites that may show the app in a frame, between blanks"),
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """The settings in force."""

    bundle: str
    survey: str
    sdss_cutouts: int
    cutout_timeout: int
    cache: str
    labels: str
    picture_cache: int
    samp: int
    kept_selections: int
    upload_megabytes: int
    upload_seconds: int
    max_explorers: int
    absence: int
    hosts: str
    frames: str


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from environment variables.

    Raises SettingError for a misspelt name, or a value that is not a number in its range where one
    is due.
    """
    environment = os.environ if environment is None else environment
    known = {PREFIX + setting.name.upper(): setting for setting in SETTINGS}
    for name in environment:
        if name.startswith(PREFIX) and name not in known:
            raise SettingError(f"{name}: no such setting; known are {', '.join(sorted(known))}")
    values: dict[str, str | int] = {}
    for name, setting in known.items():
        text = environment.get(name)
        if text is None:
            values[setting.name] = setting.default
        elif isinstance(setting.default, str):
            values[setting.name] = text
        elif text.isdecimal() and len(text) < 20 and setting.least <= int(text) <= setting.most:
            values[setting.name] = int(text)
        else:
            raise SettingError(
                f"{name}={text[:40]!r}: a whole number ({setting.unit}) from {setting.range} is"
                " needed"
            )
    return Settings(**values)  # type: ignore[arg-type]
