"""``python -m feeds.simulator``: see the package's docstring."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

import structlog

from feeds.simulator.process import PARENT_PIPE, READY
from feeds.simulator.server import start_server
from feeds.simulator.settings import FIRST, Settings
from feeds.simulator.venues import REGISTRY, listings


async def _serve(port: int, settings: Settings, ready_file: Path | None, watch_parent: bool) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    if watch_parent:
        loop.add_reader(sys.stdin.fileno(), _end_of_input, loop, ended)
    server = await start_server(port, settings)
    _announce(f"127.0.0.1:{server.port}", ready_file)
    signalled, broken = asyncio.create_task(ended.wait()), asyncio.create_task(server.wait())
    try:
        await asyncio.wait({signalled, broken}, return_when=asyncio.FIRST_COMPLETED)
        if broken.done():
            broken.result()
    finally:
        signalled.cancel()
        broken.cancel()
        await asyncio.gather(signalled, broken, return_exceptions=True)
        await server.stop()


def _announce(address: str, ready_file: Path | None) -> None:
    if ready_file is not None:
        ready_file.write_text(address + "\n", encoding="utf-8")
    print(READY + address, flush=True)


def _end_of_input(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        loop.remove_reader(sys.stdin.fileno())
        ended.set()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m feeds.simulator", description="Simulated exchanges on loopback.")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0: any free one (default)")
    parser.add_argument("--seed", type=int, default=1, help="the market's seed (default 1)")
    parser.add_argument("--exchange", action="append", choices=sorted(REGISTRY), help="which to simulate; repeat it")
    parser.add_argument("--market", action="append", metavar="SYMBOL", help="list these alone, as BTC/USDT; repeat it")
    parser.add_argument("--ready-file", type=Path, help="written with host:port when the simulator listens")
    parser.add_argument(PARENT_PIPE, action="store_true", help="end when standard input ends")
    options = parser.parse_args()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),  # standard output is for the one line
    )
    names = tuple(options.exchange or FIRST)
    listed = tuple(each for each in listings(names) if each.symbol in (options.market or ()))
    if options.market and {each.venue for each in listed} != set(names):
        parser.error(f"--market: {', '.join(set(names) - {each.venue for each in listed})} lists none of these")
    try:
        settings = Settings(seed=options.seed, exchanges=names, instruments=listed)
        asyncio.run(_serve(options.port, settings, options.ready_file, options.parent_pipe))
    except OSError as error:
        sys.exit(f"simulator: {error}")


if __name__ == "__main__":
    main()
