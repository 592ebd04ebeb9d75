"""Tasks here and on workers give the same, whatever dies; nothing is left when they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from galaxy_explorer.errors import BadImage, SettingError
from galaxy_explorer.utils.scheduler import MAX_WORKERS, parse_scheduler, run_tasks
from tests.scheduled import die_once, double, refuse, worker_of

ROOT = Path(__file__).resolve().parent.parent


def run(function, items, scheduler=None, **more):
    return list(run_tasks(function, items, scheduler=scheduler, total=9, words="Trying", **more))


def test_what_a_scheduler_may_be():
    assert parse_scheduler(None) is None
    assert parse_scheduler("local") >= 1
    assert parse_scheduler("3") == 3
    assert parse_scheduler("tcp://node1:8786") == "tcp://node1:8786"


@pytest.mark.parametrize(
    "text",
    ["", "0", "-2", "1.5", "all", str(MAX_WORKERS + 1), "9" * 99, "node1:8786", "tcp://node1"],
)
def test_other_schedulers_are_refused_with_what_is_possible(text):
    with pytest.raises(SettingError, match=r"local .* number of workers .* tcp://host:8786"):
        run(double, range(3), text)


def test_an_address_where_nobody_listens_is_said(monkeypatch):
    monkeypatch.setattr("galaxy_explorer.utils.scheduler.CONNECT_S", 1)
    with pytest.raises(
        SettingError, match=r"tcp://127\.0\.0\.1:9: no dask scheduler answers there"
    ):
        run(double, range(3), "tcp://127.0.0.1:9")


def test_a_scheduler_of_certificates_says_where_they_are_named(monkeypatch):
    monkeypatch.setattr("galaxy_explorer.utils.scheduler.CONNECT_S", 1)
    with pytest.raises(SettingError, match=r"tls://127\.0\.0\.1:9: .*CLIENT__CERT"):
        run(double, range(3), "tls://127.0.0.1:9")


def test_this_process_imports_no_dask():
    code = (
        "import sys; from galaxy_explorer.utils.scheduler import run_tasks;"
        "print(sum(r for _, r in run_tasks(abs, range(4), scheduler=None, total=4, words='x')));"
        "print('distributed' in sys.modules or 'dask' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["6", "False"]


def test_two_workers(tmp_path, capfd):
    """One cluster for several laws, as one takes seconds to start."""
    taken = []

    def counted():
        for number in range(40):
            taken.append(number)
            yield number

    found = run_tasks(double, counted(), scheduler="2", total=40, words="Doubling")
    first = next(found)
    assert first == (0, 0)
    assert len(taken) <= 8 + 1  # no more in flight than there are workers for
    rest = list(found)
    assert [first, *rest] == [(number, 2 * number) for number in range(40)]
    said = capfd.readouterr().err
    assert "2 workers; dask's dashboard: http://127.0.0.1:" in said
    assert "Doubling: 40/40" in said


@pytest.mark.parametrize("wanted", [1, 3])
def test_workers_are_as_many_as_asked_have_one_thread_and_do_not_hold_themselves_up(wanted):
    processes = {process for _, process in run(worker_of, range(12), str(wanted))}
    assert {tuple(told) for _, *told in processes} == {("1", False, False)}
    assert os.getpid() not in {number for number, *_ in processes}
    assert len(processes) == wanted
    for number, *_ in processes:
        assert not Path(f"/proc/{number}").exists()


def test_errors_come_back_as_they_were():
    for scheduler in (None, "1"):
        with pytest.raises(BadImage, match=r"three\.fits: is no picture"):
            run(refuse, range(9), scheduler)


def test_a_task_whose_worker_dies_is_done_by_another(tmp_path):
    marks = [str(tmp_path / f"{i}") for i in range(3)]
    assert run(die_once, marks, "2") == [(mark, Path(mark).name) for mark in marks]


CLIENT = """
import signal
import sys
from tests.scheduled import linger
from galaxy_explorer.utils.scheduler import run_tasks
if __name__ == "__main__":
    # Tests that a shell runs in the background are born deaf to it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for _ in run_tasks(linger, sys.argv[1:], scheduler="2", total=2, words="Lingering"):
        pass
"""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_the_client_and_their_folders_with_ctrl_c(tmp_path, sent):
    script, scratch = tmp_path / "client.py", tmp_path / "scratch"
    script.write_text(CLIENT)
    scratch.mkdir()
    marks = [tmp_path / "one", tmp_path / "two"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(scratch)}
    client = subprocess.Popen(
        [sys.executable, str(script), *map(str, marks)],
        env=environment,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        wait_until(lambda: all(m.exists() and m.read_text() for m in marks), client)
        workers = [int(mark.read_text()) for mark in marks]
        if sent == signal.SIGINT:  # a terminal sends it to all of them
            os.killpg(client.pid, sent)
        else:
            client.kill()
        _, said = client.communicate(timeout=60)
    finally:
        client.kill()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    if sent == signal.SIGINT:
        assert not list(scratch.glob("galaxy-explorer-*"))
        assert said.count(b"Traceback") == 1  # the client's own KeyboardInterrupt


def wait_until(condition, process=None, seconds=240):
    end = time.monotonic() + seconds
    while not condition():
        assert process is None or process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.1)
