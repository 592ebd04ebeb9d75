"""The progress display counts right, says how fast, and keeps quiet between."""

from __future__ import annotations

import io
import re

import pytest

from galaxy_explorer.utils.progress import LINE_INTERVAL_S, progress

LINE = re.compile(r"(?P<what>.+): (?P<count>\d+)/(?P<total>\d+) (?P<unit>\S+), (?P<rate>\S+) \S+/s")


class Clock:
    """Stands in for tqdm's clock: goes only when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("tqdm.std.time", clock.monotonic)
    return clock


def lines_of(capsys) -> list[re.Match[str]]:
    matches = [LINE.match(line) for line in capsys.readouterr().err.splitlines()]
    assert None not in matches
    return [match for match in matches if match]


def test_a_line_every_interval_and_one_at_the_end(clock, capsys) -> None:
    with progress(100, "Encoding") as advance:
        for _ in range(100):
            clock.now += LINE_INTERVAL_S / 32
            advance(1)
    counts = [int(line["count"]) for line in lines_of(capsys)]
    assert counts == [32, 64, 96, 100]


def test_what_was_done_before_counts_but_not_in_the_rate(clock, capsys) -> None:
    with progress(100, "Encoding", unit="stamps", done=90) as advance:
        clock.now += 2.0
        advance(10)
    (line,) = lines_of(capsys)
    assert (line["count"], line["total"], line["unit"]) == ("100", "100", "stamps")
    assert float(line["rate"]) == pytest.approx(5.0)


def test_nothing_is_written_to_standard_output(clock, capsys) -> None:
    with progress(1, "Encoding") as advance:
        advance(1)
    assert capsys.readouterr().out == ""


def test_nothing_is_said_of_no_work(clock, capsys) -> None:
    with progress(0, "Encoding"):
        pass
    assert capsys.readouterr().err == ""


def test_an_error_inside_is_not_swallowed(clock) -> None:
    with pytest.raises(ValueError, match="inside"), progress(10, "Encoding"):
        raise ValueError("inside")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_with_the_final_count(monkeypatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    with progress(40, "Encoding", done=10) as advance:
        advance(10)
        advance(20)
    assert "Encoding" in terminal.getvalue()
    assert "40/40" in terminal.getvalue()
