"""The simulator as a child process: it says where it listens, stops on request, and never outlives its parent."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from feeds.simulator import endpoints, run
from feeds.simulator.process import READY

ROOT = Path(__file__).resolve().parents[2]


def gone(pid, timeout_s=10.0):
    """Has this process ended (zombies count) within the time?"""
    end_s = time.monotonic() + timeout_s
    while time.monotonic() < end_s:
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_run_waits_until_it_listens_and_stop_ends_it():
    simulator = run()
    try:
        rest = endpoints(simulator.host, simulator.port)["binance"]["spot.rest"]
        with urlopen(f"{rest}/api/v3/time") as answer:
            assert abs(json.load(answer)["serverTime"] / 1000 - time.time()) < 5
    finally:
        assert simulator.stop() == 0
    assert simulator.stop() == 0
    assert simulator.process.poll() == 0


def test_a_child_ends_with_its_parent():
    script = "import time; from feeds.simulator import run; print(run().process.pid, flush=True); time.sleep(60)"
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        child = int(parent.stdout.readline())
        assert not gone(child, 0.0)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        parent.stdout.close()
    assert gone(child)


def test_sigterm_ends_it_with_code_0(tmp_path):
    ready = tmp_path / "ready"
    command = [sys.executable, "-m", "feeds.simulator", "--port", "0", "--seed", "2", "--ready-file", str(ready)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        assert line == f"{READY}{ready.read_text(encoding='utf-8')}"
        begin_s = time.monotonic()
        process.terminate()
        assert process.wait(10) == 0
        assert time.monotonic() - begin_s < 5
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_port_in_use_is_told():
    first = run()
    try:
        with pytest.raises(RuntimeError, match="did not start"):
            run(port=first.port)
    finally:
        first.stop()


def test_some_markets_alone():
    """Those named are listed; an exchange that has none of them is named, and nothing starts."""
    command = [sys.executable, "-m", "feeds.simulator", "--exchange", "kraken", "--market", "BTC/USD"]
    refused = subprocess.run([*command, "--exchange", "bybit"], cwd=ROOT, capture_output=True, text=True)
    assert (refused.returncode, "--market: bybit lists none of these" in refused.stderr) == (2, True)
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        base = f"http://{process.stdout.readline().removeprefix(READY).strip()}/kraken"
        with urlopen(f"{base}/0/public/AssetPairs") as answer:
            assert [pair["wsname"] for pair in json.load(answer)["result"].values()] == ["XBT/USD"]
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()
