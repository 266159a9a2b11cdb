"""One per web process: the newest frame of every topic that somebody here watches, and what is known of the worker.

Frames come by :mod:`~dashboard.uplink` and are brought to the browsers by :mod:`~dashboard.fanout`. Two things a relay
never lets pass:

* a frame that got lost on the way. Channel layers may drop messages and say nothing. The worker numbers what it sends,
  per topic, and tells these numbers every second; what is missing then is asked for again;
* a worker that is silent. After 5 s everything held is shown as STALE, and is asked for again when it is back. So is
  a topic that the beats of a worker that lives have lacked for 5 s: its lease is lost, and the worker sends nothing of
  it, however much the market moves.
"""

import asyncio
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, Protocol

import msgspec
import structlog

from dashboard.ending import ended
from dashboard.fanout import Fanout, Reader
from dashboard.outage import LAYER_ERRORS
from dashboard.outbox import Board
from dashboard.perloop import PerLoop
from dashboard.uplink import Uplink
from feeds.staleness import SILENT, as_stale
from feeds.topics import STREAMS

log = structlog.get_logger(__name__)

SILENT_S = 5.0
LOOK_S = 0.5
NOT_SENT = "The worker does not send this at the moment."


class Browser(Reader, Protocol):
    """Who watches topics here. Both calls return at once."""

    def refused(self, topic: str, reason: str) -> None:
        """The worker has no such topic, and it is no longer subscribed; ``reason`` is a sentence."""

    def gave_up(self) -> None:
        """This browser has confirmed nothing for too long: let it go."""


class Refused(LookupError):
    """The worker has no such topic, or cannot answer the question; the text is a sentence."""


class _Held(msgspec.Struct):
    """The newest frame of a topic: as the worker sent it, its number there, and which start of the worker it was."""

    frame: str
    number: int
    worker: int


class Relay(PerLoop):
    """Use it by ``async with Relay.running() as relay``, from one event loop only."""

    def __init__(self) -> None:
        super().__init__()
        self.board = Board()
        self.fanout: Fanout[Browser] = Fanout(self.board)
        self.uplink = Uplink(self._take)
        self.silent = False
        self.lost = 0  # frames that had to be asked for again
        self._tasks: list[asyncio.Task[None]] = []
        self._heard_s = 0.0
        self._worker: int | None = None  # when the worker started, ms: tells one start from the next
        self._held: dict[str, _Held] = {}
        self._lacking: dict[str, float] = {}  # held, but not in the worker's beats: since when
        self._stale: dict[str, float] = {}  # held, and shown as STALE until a frame comes: since when nothing came
        self._waiting: dict[str, list[asyncio.Future[str]]] = {}
        self._questions: dict[int, asyncio.Future[Any]] = {}
        self._asked = 0
        self._handlers: dict[str, Callable[[dict[str, Any]], None]] = {
            "relay.frame": self._take_frame,
            "relay.worker": self._take_beat,
            "relay.refused": self._take_refusal,
            "relay.answer": self._take_answer,
        }

    # -- life --------------------------------------------------------------------------------------------------------

    async def _start(self) -> None:
        self._heard_s = asyncio.get_running_loop().time()
        self.silent = False
        self.uplink.start()
        self._tasks = [
            asyncio.create_task(self._watch(), name="relay watch"),
            asyncio.create_task(self.fanout.run(), name="relay fan-out"),
        ]

    async def _stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        for result in await ended(tasks):
            if isinstance(result, Exception):
                log.error("relay task failed", error=repr(result))
        await self.uplink.stop()
        self._forget(list(self._held))
        self._worker = None

    # -- browsers ----------------------------------------------------------------------------------------------------

    def attach(self, browser: Browser) -> None:
        self.fanout.add(browser)

    def detach(self, browser: Browser) -> None:
        """End its subscriptions and send it nothing more. Idempotent."""
        self.unsubscribe(browser, browser.outbox.topics)
        self.fanout.remove(browser)

    def subscribe(self, browser: Browser, topics: Iterable[str]) -> None:
        """From now on this browser gets these topics too (canonical spelling); the newest frames at once."""
        topics = set(topics)
        for topic in topics - browser.outbox.topics:
            self.uplink.want(topic)
        browser.outbox.subscribe(topics)
        self.fanout.wake()

    def unsubscribe(self, browser: Browser, topics: Iterable[str]) -> None:
        topics = browser.outbox.topics.intersection(topics)
        browser.outbox.unsubscribe(topics)
        self._forget([topic for topic in topics if self.uplink.unwant(topic)])

    def confirmed(self, browser: Browser, bundle: int) -> None:
        """The browser has drawn this bundle. Raises ValueError if it was never sent."""
        if browser.outbox.confirm(bundle):
            self.fanout.wake()

    def _forget(self, topics: Iterable[str]) -> None:
        for topic in topics:
            self._held.pop(topic, None)
            self._lacking.pop(topic, None)
            self._stale.pop(topic, None)
            self.board.forget(topic)

    # -- questions of this process's own -----------------------------------------------------------------------------

    async def newest(self, topic: str, timeout_s: float) -> str:
        """The topic's newest frame; the worker is asked to open it if need be. Raises TimeoutError, or Refused."""
        self.uplink.want(topic)
        try:
            frame = self.board.get(topic)
            return frame if frame is not None else await self._next(topic, timeout_s)
        finally:
            if self.uplink.unwant(topic):
                self._forget([topic])

    async def _next(self, topic: str, timeout_s: float) -> str:
        waiter: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        waiters = self._waiting.setdefault(topic, [])
        waiters.append(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                return await waiter
        finally:
            waiters.remove(waiter)
            if not waiters:
                del self._waiting[topic]

    async def ask(self, kind: str, timeout_s: float, **question: Any) -> Any:
        """The worker's answer to a message of this kind. Raises TimeoutError, or Refused with a sentence."""
        self._asked += 1
        number = self._asked
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._questions[number] = answer
        try:
            async with asyncio.timeout(timeout_s):
                await self.uplink.ask({"type": kind, "question": number, **question})
                return await answer
        except LAYER_ERRORS as error:
            raise TimeoutError(f"no answer of the worker: {error}") from error
        finally:
            del self._questions[number]

    # -- what the worker sends ---------------------------------------------------------------------------------------

    def _take(self, message: dict[str, Any]) -> None:
        try:
            self._handlers[message["type"]](message)
        except Exception:  # whatever is wrong with one message: the next ones must be heard
            log.exception("message of the worker not understood", message_type=message.get("type"))

    def _hear(self, worker: int) -> None:
        """The worker lives. If it was silent, or has been started anew, all frames are asked for again."""
        self._heard_s = asyncio.get_running_loop().time()
        if self.silent:
            log.info("worker is back")
        if self.silent or self._worker not in (None, worker):
            self.uplink.ask_again(self.uplink.leased)
        self.silent = False
        self._worker = worker

    def _take_frame(self, message: dict[str, Any]) -> None:
        topic, frame, number, worker = message["topic"], message["frame"], message["number"], message["worker"]
        self._hear(worker)
        if topic not in self.uplink.wanted:
            return  # nobody here watches it any more
        held = self._held.get(topic)
        if held is not None and held.worker == worker and number < held.number:
            return  # overtaken by a newer one
        self._held[topic] = _Held(frame, number, worker)
        self._lacking.pop(topic, None)
        self._stale.pop(topic, None)
        self._show(topic, frame)

    def _show(self, topic: str, frame: str) -> None:
        self.board.put(topic, frame)
        self.fanout.wake()
        for waiter in self._waiting.get(topic, ()):
            if not waiter.done():
                waiter.set_result(frame)

    def _take_beat(self, message: dict[str, Any]) -> None:
        """The worker's sign of life, with the number of the last frame that it sent of each leased topic."""
        if message["state"] == "stopping":
            self._fall_silent("it stops")
            return
        numbers, worker = message["numbers"], message["worker"]
        self._hear(worker)
        leased = self.uplink.leased & self.uplink.wanted
        unknown = [topic for topic in leased if topic not in numbers]  # the lease itself got lost
        missed = [topic for topic in leased if self._missed(topic, numbers.get(topic, 0), worker)]
        self.lost += len(missed)
        if again := {*unknown, *missed, *self._stale}:  # also where the answer got lost: nothing else ends STALE
            self.uplink.ask_again(again)
        self._note_lacking(numbers)

    def _missed(self, topic: str, sent: int, worker: int) -> bool:
        held = self._held.get(topic)
        return sent > (held.number if held is not None and held.worker == worker else 0)

    def _take_refusal(self, message: dict[str, Any]) -> None:
        topic, reason = message["topic"], message["reason"]
        for waiter in self._waiting.get(topic, ()):
            if not waiter.done():
                waiter.set_exception(Refused(reason))
        for browser in self.fanout.readers():
            if topic in browser.outbox.topics:
                self.unsubscribe(browser, [topic])
                browser.refused(topic, reason)

    def _take_answer(self, message: dict[str, Any]) -> None:
        answer = self._questions.get(message["question"])
        if answer is None or answer.done():
            return  # nobody waits any more
        if message["error"]:
            answer.set_exception(Refused(message["error"]))
        else:
            answer.set_result(message["result"])

    # -- silence -----------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Look after the worker's silence, and after browsers that have given up."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(LOOK_S)
            now_s = loop.time()
            for browser in self.fanout.gave_up(now_s):
                browser.gave_up()
            if not self.silent and now_s - self._heard_s >= SILENT_S:
                self._fall_silent(f"nothing for {now_s - self._heard_s:.1f} s")
            elif STREAMS in self._stale:
                self._show_again(STREAMS)  # again and again, to show that at least this server lives

    def _fall_silent(self, why: str) -> None:
        if self.silent:
            return
        self.silent = True
        log.warning("worker is silent, everything is shown as stale", reason=why)
        self._show_stale(dict.fromkeys(self._held, self._heard_s))

    def _note_lacking(self, numbers: Container[str]) -> None:
        """A lease that was lost, ran out, or is not renewed any more: what it brought is not of now, though the worker
        lives. It is asked for again at once (and at every beat), and shown as STALE when that does not help."""
        now_s = asyncio.get_running_loop().time()
        self._lacking = {topic: self._lacking.get(topic, now_s) for topic in self._held if topic not in numbers}
        lost = {topic: since_s for topic, since_s in self._lacking.items() if now_s - since_s >= SILENT_S}
        if new := sorted(lost.keys() - self._stale.keys()):
            log.warning("leases lost, shown as stale", topics=len(new), first=new[0])
            self._show_stale({topic: lost[topic] for topic in new})

    def _show_stale(self, since_s: Mapping[str, float]) -> None:
        """These topics, of which nothing has come for so long."""
        for topic in since_s:
            self._stale.setdefault(topic, since_s[topic])
            self._show_again(topic)

    def _show_again(self, topic: str) -> None:
        """The held frame, as STALE."""
        silent_ms = int((asyncio.get_running_loop().time() - self._stale[topic]) * 1000)
        reason = SILENT if self.silent else NOT_SENT
        self._show(topic, as_stale(self._held[topic].frame, silent_ms, reason=reason))
