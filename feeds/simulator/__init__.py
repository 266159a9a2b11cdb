"""Simulated exchanges: Binance (spot, USD-M) and Kraken (spot), speaking their documented protocols on loopback.

As a process of its own::

    python -m feeds.simulator --port 0 [--seed 1] [--ready-file FILE]

It prints one line, ``simulator listening on 127.0.0.1:PORT``, when it can be used, ends on SIGTERM, and ends by itself
when the process that started it with :func:`run` dies. In a test::

    server = await start_server()            # .port, .market, .accounts, .faults
    config = endpoints("127.0.0.1", server.port)
    await server.stop()

``DEMO_KEY`` and ``DEMO_SECRET`` open the demo account of the simulated Binance, where a trader is at work (more keys in
``keys.py``). ``/__sim/...`` tells the truth and makes trouble: see ``control.py``.

One deterministic market (``market.py`` and what it imports: pure, stepped by time) stands behind both; the rest are
servers. Paths: ``/binance`` (spot: ``/stream``, ``/ws``, ``/api/v3``; futures: ``/public``, ``/market``, ``/fapi``;
below ``/binance/usdm`` the futures alone, so un-routed streams are refused) and ``/kraken`` (``/v2``, ``/0/public``).
"""

from feeds.simulator.keys import DEMO_KEY, DEMO_SECRET
from feeds.simulator.process import SimulatorProcess, run
from feeds.simulator.server import SimulatorServer, endpoints, start_server
from feeds.simulator.settings import Settings

__all__ = [
    "DEMO_KEY",
    "DEMO_SECRET",
    "Settings",
    "SimulatorProcess",
    "SimulatorServer",
    "endpoints",
    "run",
    "start_server",
]
