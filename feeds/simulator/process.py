"""The simulator as a child process, which never outlives its parent."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

READY = "simulator listening on "
PARENT_PIPE = "--parent-pipe"
"""Option of the child: end when standard input ends, that is, when the parent is gone."""


class SimulatorProcess:
    """A running child. ``host`` and ``port`` tell where it listens."""

    def __init__(self, process: subprocess.Popen[str], host: str, port: int) -> None:
        self.process = process
        self.host = host
        self.port = port

    def stop(self, timeout_s: float = 5.0) -> int:
        """SIGTERM, then the exit code; killed if it takes too long. May be called twice."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
        code = self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        return code


def run(port: int = 0, seed: int = 1, exchanges: Sequence[str] = ()) -> SimulatorProcess:
    """Start the simulator as a child process and wait until it listens. No ``exchanges``: its usual ones.

    Raises RuntimeError with what it said if it ends instead. Its log goes to our standard error.
    """
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-m", "feeds.simulator", "--port", str(port), "--seed", str(seed), PARENT_PIPE]
    command += [option for name in exchanges for option in ("--exchange", name)]
    process = subprocess.Popen(
        command, cwd=root, env={**os.environ}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    output: IO[str] | None = process.stdout
    line = output.readline() if output is not None else ""
    if not line.startswith(READY):
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        raise RuntimeError(f"the simulator did not start: {line.strip() or 'it said nothing'}")
    host, _, listening = line.removeprefix(READY).strip().rpartition(":")
    return SimulatorProcess(process, host, int(listening))
