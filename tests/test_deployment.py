"""The ways to serve the app agree with each other and with what Panel offers."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from panel.command.serve import Serve

from galaxy_explorer.explorer.server.sessions import KEPT_MS, TOKEN_S
from galaxy_explorer.settings import PREFIX, SETTINGS

ROOT = Path(__file__).resolve().parent.parent
TEXTS = ("Makefile", "Dockerfile", "DEPLOYMENT.md")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
OTHERS = {"--rm", "--out", "--no-cache-dir", "--system", "--create-home"}


def words(text: str) -> list[str]:
    return re.sub(r'[",\[\]`\\]', " ", (ROOT / text).read_text(encoding="utf-8")).split()


@pytest.mark.parametrize("text", TEXTS)
def test_sessions_are_kept_equally_long_everywhere(text: str) -> None:
    found = words(text)
    for option, value in (
        ("--unused-session-lifetime", KEPT_MS),
        ("--session-token-expiration", TOKEN_S),
    ):
        values = {after for word, after in pairwise(found) if word == option}
        assert str(value) in values
        assert {one for one in values if one.isdecimal()} == {str(value)}


@pytest.mark.parametrize("text", ["Dockerfile", "DEPLOYMENT.md"])
def test_the_options_are_panels(text: str) -> None:
    known = {names if isinstance(names, str) else names[0] for names, _ in Serve.args}
    options = {word for word in words(text) if re.fullmatch(r"--[a-z][a-z-]+", word)}
    assert options - known - OTHERS == set()


@pytest.mark.parametrize("text", ["Dockerfile", "DEPLOYMENT.md"])
def test_the_settings_are_the_apps(text: str) -> None:
    named = set(re.findall(rf"{PREFIX}(\w+)", (ROOT / text).read_text(encoding="utf-8")))
    assert named <= {setting.name.upper() for setting in SETTINGS}


def test_the_container_serves_as_a_user_without_rights() -> None:
    lines = [line for line in DOCKERFILE.splitlines() if re.match(r"[A-Z]+ ", line)]
    user = next(line for line in lines if line.startswith("USER "))
    assert user.split()[1] not in {"root", "0"}
    assert not any(line.startswith(("RUN", "COPY")) for line in lines[lines.index(user) :])


def test_what_the_container_copies_is_let_through() -> None:
    let_through = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line[0] == "!"
    }
    copied = {
        word
        for line in DOCKERFILE.splitlines()
        if line.startswith("COPY ")
        for word in line.split()[1:-1]
    }
    assert copied == let_through
    assert all((ROOT / name).exists() for name in copied)


def test_half_done_work_stays_out_of_the_container() -> None:
    """What git leaves out of the copied folders is left out here, too; the later line wins."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    let_through = max(place for place, line in enumerate(lines) if line[0] == "!")
    for name in ("*.work", "*.partial", "__pycache__"):
        assert f"{name}/" in (ROOT / ".gitignore").read_text(encoding="utf-8").split()
        assert lines.index(f"**/{name}") > let_through
