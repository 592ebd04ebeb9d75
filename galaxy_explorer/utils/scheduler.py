"""Many tasks of one kind, in this process or through dask.distributed: `--scheduler`.

dask pickles functions, arguments and results between its own processes: that is how it sends them,
and no file is read that way. Whoever reaches the port of a scheduler runs code as its owner.
"""

from __future__ import annotations

import logging
import shutil
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Any, TypeVar

from galaxy_explorer.errors import SchedulerError, SettingError
from galaxy_explorer.settings import VERSION
from galaxy_explorer.utils.files import temporary_folder
from galaxy_explorer.utils.progress import QUIET, progress

if TYPE_CHECKING:
    from distributed import Client, Future

Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_WORKERS = 512
PROTOCOLS = ("tcp://", "tls://")
IN_FLIGHT = 4
"""Tasks a worker that are sent at once: one runs, the others are there when it ends."""
ATTEMPTS = 3
"""How often a task is tried whose worker died; each of dask's own counts three deaths more."""
CONNECT_S = 15
QUIET_WORKERS = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
}
"""Workers of this machine do not look at themselves 100 times a second, which took 2 to 3 % of each
of them, whatever it did. Nor do they give freed memory back at once: networks ask for it again and
again, and two workers spent as long on its pages as on the galaxies."""


def parse_scheduler(text: str | None) -> int | str | None:
    """What `--scheduler` asks for: a number of workers of this machine, an address, or None.

    `local` is one worker a core that this process may use. Raises SettingError for anything else.
    """
    if text is None:
        return None
    if text == "local":
        from dask.system import CPU_COUNT

        return max(1, int(CPU_COUNT))
    if text.isdecimal() and 1 <= int(text[:6]) <= MAX_WORKERS:
        return int(text)
    if text.startswith(PROTOCOLS) and text.count(":") >= 2:
        return text
    raise SettingError(
        f"--scheduler {text[:80]}: local (all cores of this machine), a number of workers from 1 to"
        f" {MAX_WORKERS}, or the address of a dask scheduler such as tcp://host:8786"
    )


def run_tasks(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    scheduler: str | None,
    total: int,
    words: str,
    unit: str = "galaxies",
    weigh: Callable[[Item], int] = lambda _: 1,
    said: Callable[[str], object] | None = None,
) -> Iterator[tuple[Item, Result]]:
    """Yield (item, result) in the order of the items, while later ones are being worked on.

    function: of a module of the package, or a partial of one, with arguments and results that are
    small; what is loaded once (a model) is kept in a cache of that module, so once a worker
    process. items: taken only as there is room, so there may be any number. scheduler: as
    `parse_scheduler` takes it; None works in this process. total, weigh: of the progress, in
    `unit`; words: what is being done; said: is told dask's dashboard, else standard error.

    A task whose worker died is tried again. Ending the iteration, by Ctrl-C too, cancels what is
    not done and stops the workers that were started. Raises SettingError where the scheduler
    cannot be reached, SchedulerError where it went away or workers keep dying, and whatever the
    function raises.
    """
    wanted = parse_scheduler(scheduler)
    with ExitStack() as stack:
        if wanted is None:
            results: Iterator[tuple[Item, Result]] = ((item, function(item)) for item in items)
        else:
            client = stack.enter_context(connected(wanted, said or _tell))
            results = _through(client, function, items)
            stack.callback(results.close)  # type: ignore[attr-defined]
        advance = stack.enter_context(progress(total, words, unit=unit))
        for item, result in results:
            advance(weigh(item))
            yield item, result


def _tell(words: str) -> None:
    if not QUIET.get():
        sys.stderr.write(f"{words}\n")


_opened: dict[str, tuple[Hashable, Any]] = {}
_opening = threading.RLock()  # what is made may open a bundle itself


def once_a_process(kind: str, key: Hashable, make: Callable[[], Any]) -> Any:
    """What this process has open of a kind (a bundle, a survey) under a key, else made and kept.

    One of each kind: the next one takes its place.
    """
    with _opening:
        if kind not in _opened or _opened[kind][0] != key:
            _opened[kind] = (key, make())
        return _opened[kind][1]


def remember(kind: str, key: Hashable, opened: Any) -> None:
    """Let tasks in this process take what is open already."""
    with _opening:
        _opened[kind] = (key, opened)


@contextmanager
def connected(wanted: int | str, said: Callable[[str], object]) -> Iterator[Client]:
    """A client of the scheduler at an address, or of as many own workers of one thread each."""
    import dask
    from distributed import Client, LocalCluster, Security

    certificates = Security().get_connection_args("client").get
    if str(wanted).startswith("tls://") and certificates("ssl_context") is None:
        raise SettingError(
            f"--scheduler {wanted}: no certificates are named; do so in dask's settings"
            " DASK_DISTRIBUTED__COMM__TLS__CA_FILE, ..._TLS__CLIENT__CERT and ..._TLS__CLIENT__KEY"
        )
    with ExitStack() as stack:
        address: Any = wanted
        if isinstance(wanted, int):
            folder = temporary_folder("galaxy-explorer-workers")
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            stack.enter_context(dask.config.set(QUIET_WORKERS))
            # Workers hold one shard each, whatever the machine has: nothing to spill or to kill for
            options = {"memory_limit": 0, "local_directory": str(folder), "preload": [__name__]}
            cluster = LocalCluster(
                n_workers=wanted,
                threads_per_worker=1,
                dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL + 1,  # what matters is raised here
                security=_own_security(),
                **options,
            )
            address = stack.enter_context(cluster)
        try:
            client = stack.enter_context(Client(address, timeout=CONNECT_S, set_as_default=False))
        except OSError as error:
            raise SettingError(
                f"--scheduler {wanted}: no dask scheduler answers there; start one with `dask"
                " scheduler` and workers with `dask worker`, or take --scheduler local"
            ) from error
        if client.dashboard_link:
            said(f"{_worker_words(client)}; dask's dashboard: {client.dashboard_link}")
        yield client


def _own_security() -> Any:
    """Certificates for one run, where they can be made: other users of the machine stay out."""
    from distributed import Security

    try:
        return Security.temporary()
    except ImportError:  # it needs the package cryptography
        return None


def _worker_words(client: Client) -> str:
    n = len(client.nthreads())
    return f"{n} worker{'s' * (n != 1)}" if n else "No worker has come to the scheduler yet: waits"


def dask_setup(worker: Any) -> None:  # noqa: ARG001 - what dask calls as a worker of ours starts
    """Leave Ctrl-C to the client, which decides what ends: a terminal sends it to all processes."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def checked_call(function: Callable[[Item], Result], version: str, item: Item) -> Result:
    """The task as a worker runs it. Raises SettingError where the worker has other software."""
    if version != VERSION:
        raise SettingError(
            f"a worker has galaxy_explorer {VERSION}, this is {version}: install the same on both"
        )
    return function(item)


@dataclass
class _Sent:
    """A task on its way: its item, what will hold the result, how often its worker died."""

    item: Any
    future: Future
    deaths: int = 0


def _through(
    client: Client, function: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[tuple[Item, Result]]:
    """Send a bounded number of tasks ahead; cancel those left when the iteration ends."""
    waiting: deque[_Sent] = deque()
    source = iter(items)
    send = partial(client.submit, checked_call, function, VERSION, pure=False)
    try:
        while True:
            room = IN_FLIGHT * max(1, sum(client.nthreads().values())) - len(waiting)
            waiting.extend(_Sent(item, send(item)) for item in islice(source, max(0, room)))
            if not waiting:
                return
            first = waiting[0]
            first.future.exception()  # waits for its end, however it ends
            if first.future.status != "finished":
                _raise_unless_worker_died(first)
                first.future, first.deaths = send(first.item), first.deaths + 1
                continue
            done = list(takewhile(lambda one: one.future.status == "finished", waiting))
            # One question for all that are there: an answer takes the scheduler 10 ms or more
            results = client.gather([one.future for one in done])
            for one, result in zip(done, results, strict=True):
                waiting.popleft()
                yield one.item, result
    finally:
        if waiting and client.status == "running":
            client.cancel([one.future for one in waiting], force=True)


def _raise_unless_worker_died(sent: _Sent) -> None:
    """Raise what a task ended with, unless it may be tried again."""
    from distributed import KilledWorker

    if sent.future.status != "error":
        raise SchedulerError(
            "the dask scheduler went away before all was done; start it, and the same command"
            " again goes on"
        )
    error = sent.future.exception()
    if isinstance(error, ModuleNotFoundError):
        raise SettingError(
            f"the workers lack {error.name}: install galaxy_explorer {VERSION} where they run"
        ) from error
    if not isinstance(error, KilledWorker):
        raise error
    if sent.deaths + 1 >= ATTEMPTS:
        raise SchedulerError(
            "the workers died each time over the same task, mostly for want of memory; give them"
            " more, or take fewer with --scheduler"
        ) from error
