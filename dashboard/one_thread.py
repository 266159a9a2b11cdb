"""A thread of its own for one thing after another, that does not keep the process.

``ThreadPoolExecutor`` joins its threads when the interpreter ends: a process that is told to stop would wait for a
database that hangs, for as long as that hangs.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


class OneThread(Executor):
    """Runs what is submitted, in order. The thread starts with the first of it; :meth:`shutdown` ends it after the
    last."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._turn = threading.Lock()
        self._ended = False

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Raises RuntimeError after the shutdown."""
        future: Future[T] = Future()
        with self._turn:
            if self._ended:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._jobs.put((future, partial(function, *args, **kwargs)))
            if not self._thread.ident:
                self._thread.start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Idempotent. ``cancel_futures`` drops what has not begun."""
        with self._turn:
            if cancel_futures:
                while not self._jobs.empty():
                    if (job := self._jobs.get()) is not None:
                        job[0].cancel()
            self._ended = True
            self._jobs.put(None)
        if wait and self._thread.ident:
            self._thread.join()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, function = job
            if future.set_running_or_notify_cancel():
                try:
                    result = function()
                except BaseException as error:
                    future.set_exception(error)
                else:
                    future.set_result(result)
            del job, future, function  # or they would live until the next one comes
