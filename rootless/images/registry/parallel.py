"""Several transfers side by side."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

# Seconds for a job that was stopped; one that waits for a stalled server does not notice.
_PATIENCE = 1.0

Cancelled = Callable[[], bool]
Job = Callable[[Cancelled], None]


def run(jobs: list[Job], count: int) -> None:
    """Run jobs on `count` threads; the first error stops the others and is raised.

    The threads are daemons, so that ^C ends the command at once and not after a stalled server's
    time-out; half-written blobs are what a later attempt continues.
    """
    waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
    for job in jobs:
        waiting.put(job)
    results: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            try:
                job = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                job(stop.is_set)
            except BaseException as error:
                results.put(error)
                return
            results.put(None)

    threads = [
        threading.Thread(target=work, daemon=True, name=f"transfer-{number}")
        for number in range(min(count, len(jobs)))
    ]
    patience = _PATIENCE
    try:
        for thread in threads:
            thread.start()
        for _ in jobs:
            error = results.get()
            if error is not None:
                raise error
    except KeyboardInterrupt:
        patience = 0.0
        raise
    finally:
        stop.set()
        for thread in threads:
            thread.join(patience)
