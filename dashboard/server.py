"""What Daphne's WebSocket protocol does not do, added where it is Daphne that serves:

* the reason of a close reaches the browser (Daphne drops it), also with code 1001;
* a frame that many browsers get is made once, and written without a detour. What a server sends is not masked, so the
  frame is the same bytes for all of them. An application that puts ``take_writer`` into ``websocket.accept`` is given
  :meth:`BrowserProtocol.write`; other servers ignore the key;
* a stop reaches every browser. Daphne 4.2.3 gives up at the first connection without an application, such as a request
  that has just ended, and then cancels none.

By a subclass in the place where Daphne's factory looks for its protocol, and by one method of its server.
"""

import asyncio
import gc
import sys
from typing import Any

from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol
from twisted.internet.defer import Deferred
from twisted.internet.tcp import Connection

GC_THRESHOLDS = (20_000, 20, 20)
"""New objects before the youngest are looked at, and how many of these before the older ones are."""

_LONGEST_REASON = 123  # bytes, RFC 6455 section 5.5


class BrowserProtocol(WebSocketProtocol):
    """Daphne's protocol of one WebSocket, with the two additions."""

    closeHandshakeTimeout = 4  # s; autobahn's 1 s resets the connection of a slow browser before it has read why
    autoPingTimeout = 90  # s; Daphne's 30 s drops a browser that stalls before our own rule (4408) has decided
    _plain = False  # a socket of our own, without TLS

    def handle_reply(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "websocket.accept" and "take_writer" in message:
            message["take_writer"](self.write)
        elif kind == "websocket.send" and self.state not in (self.STATE_OPEN, self.STATE_CONNECTING):
            return  # the browser is going, and the application will hear of it
        elif kind == "websocket.close" and self.state == self.STATE_OPEN:
            reason = message.get("reason", "").encode()[:_LONGEST_REASON].decode("utf-8", "ignore")
            self.sendCloseFrame(message.get("code", 1000), reason.encode())
            return
        super().handle_reply(message)

    def write(self, wire: bytes) -> None:
        """Send a whole frame as it is. It goes to the kernel at once, unless something waits before it: Twisted would
        register the socket with epoll for each, which costs more than the sending."""
        if self.state != self.STATE_OPEN:
            return
        transport = self.transport
        taken = 0
        if self._plain and not transport.dataBuffer and not transport._tempDataBuffer:
            written = transport.writeSomeData(wire)
            if isinstance(written, int):  # else the connection is lost, which Twisted finds out when it writes
                taken = written
        if taken < len(wire):
            transport.write(wire[taken:])

    def onOpen(self) -> None:
        self._plain = isinstance(self.transport, Connection) and not self.transport.TLS
        super().onOpen()


def kill_all_applications(server: Any) -> Deferred[Any]:
    """Cancel what still runs, and fire when all of it has ended. Takes the place of Daphne's method of this name."""
    running = [
        instance
        for details in server.connections.values()
        if (instance := details.get("application_instance")) is not None and not instance.done()
    ]
    for instance in running:
        instance.cancel()
    return Deferred.fromFuture(asyncio.ensure_future(asyncio.wait(running) if running else asyncio.sleep(0)))


def install() -> None:
    """Where Daphne serves this process, let it use our protocol. Idempotent.

    And keep the garbage collector short: with a thousand browsers a full collection that walks every imported module
    stops the process for some 60 ms. What is there now stays to the end, so it is taken out of the collector's sight.
    """
    if "daphne.server" in sys.modules and WebSocketFactory.protocol is not BrowserProtocol:
        WebSocketFactory.protocol = BrowserProtocol
        sys.modules["daphne.server"].Server.kill_all_applications = kill_all_applications
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
