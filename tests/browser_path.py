"""The browser of the browser tests: found, or installed.

`python tests/browser_path.py` prints the path of the browser on this machine;
with `--install` it installs one where there is none. Exits with a sentence if none can be had.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MAC_PATHS = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
# The sandbox refuses root; /dev/shm is tiny in containers; WebGL in software on every machine.
FLAGS = ("--no-sandbox", "--disable-dev-shm-usage", "--enable-unsafe-swiftshader")
NONE_FOUND = (
    "no Chromium or Chrome that starts was found or could be installed; "
    "install one, or name it: make test CHROMIUM=/path/to/chromium"
)


def find() -> str | None:
    """Path of a browser that starts: CHROMIUM from the environment, else the first found."""
    return next((path for path in _candidates() if _starts(path)), None)


def install() -> str | None:
    """Install a browser: Debian's where this is allowed, else Playwright's own build."""
    for command in _install_commands():
        sys.stderr.write(f"no browser for the tests yet: {' '.join(command)}\n")
        subprocess.run(command, check=False)
        if found := find():
            return found
    return None


def _candidates() -> Iterator[str]:
    if named := os.environ.get("CHROMIUM"):
        yield named
        return
    yield from filter(None, map(shutil.which, NAMES))
    yield from filter(os.path.exists, MAC_PATHS)
    if own := _playwrights_own():
        yield own


def _playwrights_own() -> str | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def _starts(path: str) -> bool:
    """Whether it runs at all: some distributions put a stub where the browser would be."""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _install_commands() -> Iterator[list[str]]:
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    if root and shutil.which("apt-get"):
        yield ["apt-get", "update", "-q"]
        yield ["apt-get", "install", "-q", "-y", "--no-install-recommends", "chromium"]
    playwright = [sys.executable, "-m", "playwright", "install"]
    yield [*playwright, "--with-deps", "chromium"] if root else [*playwright, "chromium"]


def main() -> None:
    """Print the browser's path or exit with a sentence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--install", action="store_true", help="install one where there is none")
    may_install = parser.parse_args().install and not os.environ.get("CHROMIUM")
    path = find() or (install() if may_install else None)
    if path is None:
        sys.exit(NONE_FOUND)
    sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
