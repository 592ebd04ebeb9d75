"""What the functions take: a bundle or its folder, and images as files, folders or patterns."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from galaxy_explorer.bundle.bundle import Bundle

Images = str | Path | Iterable[str | Path]


def opened_bundle(bundle: Bundle | str | Path) -> Bundle:
    """A bundle, opened where it is named by its folder."""
    from galaxy_explorer.bundle.bundle import load_bundle

    return load_bundle(bundle) if isinstance(bundle, str | Path) else bundle


def files_of(images: Images, said: Callable[[str], object] = lambda _: None) -> list[Path]:
    """The files that images name; `said` is told what was left out of folders."""
    from galaxy_explorer.classification import expand

    return expand([images] if isinstance(images, str | Path) else images, said)
