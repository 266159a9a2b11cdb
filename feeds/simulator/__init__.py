"""Simulated exchanges, speaking their documented protocols on loopback.

As a process of its own::

    python -m feeds.simulator --port 0 [--seed 1] [--exchange NAME ...] [--market SYMBOL ...] [--ready-file FILE]

It prints one line, ``simulator listening on 127.0.0.1:PORT``, when it can be used, ends on SIGTERM, and ends by itself
when the process that started it with :func:`run` dies. In a test::

    server = await start_server()            # .port, .market, .accounts[exchange], .faults
    config = endpoints("127.0.0.1", server.port)
    await server.stop()

``DEMO_KEY`` and ``DEMO_SECRET`` open the demo account of the simulated Binance, where a trader is at work (more keys in
``keys.py``; another exchange's stand in its ``terms.keys``), ``DATA_KEY`` and ``DATA_SECRET`` the market data of
exchanges that want a key for them. ``/__sim/...`` tells the truth and makes trouble: see ``control.py``.

One deterministic market (``market.py`` and what it imports: pure, stepped by time) stands behind all of them; each
exchange is a package of servers below a path of its own name, registered in ``venues.py``, and fits ``place.py``. Below
``/binance`` are spot and futures, below ``/binance/usdm`` the futures alone, so that un-routed streams are refused.
"""

from feeds.simulator.keys import DATA_KEY, DATA_SECRET, DEMO_KEY, DEMO_SECRET
from feeds.simulator.process import SimulatorProcess, run
from feeds.simulator.server import SimulatorServer, start_server
from feeds.simulator.settings import Settings
from feeds.simulator.venues import endpoints

__all__ = [
    "DATA_KEY",
    "DATA_SECRET",
    "DEMO_KEY",
    "DEMO_SECRET",
    "Settings",
    "SimulatorProcess",
    "SimulatorServer",
    "endpoints",
    "run",
    "start_server",
]
