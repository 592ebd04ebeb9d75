"""The ways to serve the app agree with each other and with what Panel offers."""

from __future__ import annotations

import re
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from bokeh.application import Application
from bokeh.server.tornado import BokehTornado
from bokeh.util.token import (
    check_token_signature,
    generate_jwt_token,
    get_session_id,
    get_token_payload,
)
from panel.command.serve import Serve

from galaxy_explorer.explorer.server.sessions import KEPT_MS, TOKEN_S, keep_sessions, lasting
from galaxy_explorer.settings import PREFIX, SETTINGS

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
OTHERS = {"--rm", "--out", "--no-cache-dir", "--system", "--create-home"}


def words(text: str) -> list[str]:
    return re.sub(r'[",\[\]`\\]', " ", (ROOT / text).read_text(encoding="utf-8")).split()


@pytest.mark.parametrize("text", ["Makefile", "Dockerfile"])
def test_how_long_sessions_are_kept_is_said_by_the_app_alone(text: str) -> None:
    assert not {"--unused-session-lifetime", "--session-token-expiration"} & set(words(text))


def server_of(**options: int) -> BokehTornado:
    return BokehTornado({"/": Application()}, **options)


def test_a_plain_server_keeps_sessions_and_a_chosen_time_holds() -> None:
    plain = server_of()
    chosen = server_of(unused_session_lifetime_milliseconds=5000, session_token_expiration=60)
    for server in (plain, chosen):
        keep_sessions(server)
    assert plain._unused_session_lifetime_milliseconds == KEPT_MS
    assert plain.session_token_expiration == TOKEN_S
    assert chosen._unused_session_lifetime_milliseconds == 5000
    assert chosen.session_token_expiration == 60


def test_the_first_page_connects_as_long_as_later_ones() -> None:
    server = server_of()
    token = generate_jwt_token("first", expiration=300, extra_payload={"arguments": {"page": "x"}})
    session = SimpleNamespace(id="first", token=token)
    handler = SimpleNamespace(
        application=server, application_context=SimpleNamespace(sessions=[session])
    )
    keep_sessions(server)
    before = time.time()
    page = lasting(handler, f'<p>"token":"{token}"</p>')
    found = re.fullmatch(r'<p>"token":"([^"]+)"</p>', page)[1]
    payload = get_token_payload(found)
    assert payload["session_expiry"] >= int(before) + TOKEN_S
    assert payload["arguments"] == {"page": "x"}
    assert get_session_id(found) == "first"
    assert check_token_signature(found)
    assert lasting(handler, "<p>other</p>") == "<p>other</p>"


@pytest.mark.parametrize("text", ["Dockerfile", "docs/serving.md"])
def test_the_options_are_panels(text: str) -> None:
    known = {names if isinstance(names, str) else names[0] for names, _ in Serve.args}
    options = {word for word in words(text) if re.fullmatch(r"--[a-z][a-z-]+", word)}
    assert options - known - OTHERS == set()


@pytest.mark.parametrize("text", ["Dockerfile", "docs/serving.md"])
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
