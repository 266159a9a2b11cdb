"""/metrics: who may read it, and that it is what Prometheus reads, to the letter."""

import math
import re
from typing import Any

import pytest
from django.test import Client

from dashboard import auth
from dashboard.exposition import Exposition
from feeds.latency import BOUNDS_MS, Histogram
from tests.dashboard.rest import report, stream

pytestmark = pytest.mark.django_db

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')
_NUMBER = re.compile(r"[+-]Inf|NaN|-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?")

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def parse(text: str) -> tuple[dict[str, str], Samples]:
    """Types by family, and every sample. Strict: anything that the format's description does not allow fails."""
    assert text.endswith("\n"), "the last line must end"
    types: dict[str, str] = {}
    helped: set[str] = set()
    samples: Samples = {}
    family = ""
    for line in text[:-1].split("\n"):
        assert line, "no empty lines"
        if line.startswith("# HELP "):
            name, _, about = line.removeprefix("# HELP ").partition(" ")
            assert re.fullmatch(NAME, name)
            assert name not in helped, f"{name} has two helps, so it is not in one place"
            assert about
            assert "\\" not in re.sub(r"\\[\\n]", "", about)
            helped.add(name)
            family = name
            continue
        if line.startswith("# TYPE "):
            name, kind = line.removeprefix("# TYPE ").split(" ")
            assert name == family, "the type follows the help"
            assert name not in types
            assert kind in ("counter", "gauge", "histogram")
            types[name] = kind
            continue
        match = _SAMPLE.fullmatch(line)
        assert match, line
        name, inside, number = match.groups()
        own = re.sub("_(bucket|sum|count)$", "", name) if types.get(family) == "histogram" else name
        assert own == family, f"{name} stands among samples of {family}"
        assert types[family] != "counter" or name.endswith("_total")
        assert _NUMBER.fullmatch(number), number
        labels, rest = [], inside or ""
        while rest:
            label = _LABEL.match(rest)
            assert label, rest
            labels.append((label[1], re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], label[2])))
            rest = rest[label.end() :]
        assert len({name for name, _ in labels}) == len(labels)
        key = name, tuple(sorted(labels))
        assert key not in samples, f"{line}: twice"
        samples[key] = float(number.replace("Inf", "inf"))
    _check_histograms(types, samples)
    return types, samples


def _check_histograms(types: dict[str, str], samples: Samples) -> None:
    for family in [name for name, kind in types.items() if kind == "histogram"]:
        series: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = {}
        for (name, labels), value in samples.items():
            if name == f"{family}_bucket":
                others = tuple(label for label in labels if label[0] != "le")
                series.setdefault(others, []).append((float(dict(labels)["le"].replace("Inf", "inf")), value))
        assert series
        for labels, buckets in series.items():
            bounds, counts = zip(*buckets, strict=True)
            assert bounds == tuple(sorted(set(bounds)))
            assert bounds[-1] == math.inf
            assert counts == tuple(sorted(counts)), "buckets hold all that is below"
            assert samples[f"{family}_count", labels] == counts[-1]
            assert (f"{family}_sum", labels) in samples


def figures(**changes: Any) -> dict[str, Any]:
    """What a worker reports, with two connections of which one never had data."""
    histogram = Histogram()
    for ms in (-3.0, 0.4, 1.0, 7.5, 7.6, 80.0, 99_999.0):
        histogram.add(ms)
    connection = {
        "exchange": "binance",
        "route": "spot",
        "number": 1,
        "state": "LIVE",
        "messages": 10,
        "bytes": 2500,
        "dropped": 1,
        "not_understood": 2,
        "unknown": 3,
        "reconnects": 3,
        "subscriptions": 5,
        "buffered": 0,
        "messages_per_s": 12.5,
        "last_data_age_ms": 40,
        "late_since_ms": 1_795_220_000_000,
        "latency": histogram.totals(),
    }
    quiet = connection | {
        "number": 2,
        "state": "DOWN",
        "last_data_age_ms": None,
        "late_since_ms": None,
        "latency": Histogram().totals(),
    }
    usage = {"used": 100, "limit": 6000, "requests": 12, "failures": 1}
    exchange = {"exchange": "binance", "markets": 40, "renewed": 4, "notices": [{}], "budget": {"spot": usage}}
    metrics = {
        "worker": {"cpu": 0.25, "rss_mb": 100.0, "published": 7, "conflated": 8, "bounds_ms": list(BOUNDS_MS)},
        "exchanges": [exchange | {"clock_offset_ms": -12.5, "clock_error_ms": None}],
        "connections": [connection, quiet],
    }
    metrics["worker"]["overhead"] = histogram.totals()
    return {"metrics": metrics, **changes}


def read(client: Client) -> tuple[dict[str, str], Samples]:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer["Cache-Control"] == "no-store"
    return parse(answer.content.decode())


def test_by_session_or_token_and_for_nobody_else(client, trader):
    answer = client.get("/metrics")
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"
    token = auth.new_api_token(trader, "prometheus")
    report(**figures())
    assert client.get("/metrics", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    assert client.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 401
    client.force_login(trader)
    read(client)
    assert client.post("/metrics").status_code in (403, 405)


def test_what_is_told(client, trader):
    client.force_login(trader)
    odd = stream('ODD"\\/USDT', "POLLED", age_ms=None)
    report(**figures(streams=[stream("BTC/USDT", "LIVE"), stream("ETH/USDT", "STALE"), odd]))
    types, samples = read(client)
    first = tuple(sorted({"exchange": "binance", "route": "spot", "number": "1"}.items()))
    assert samples["spreadboard_up", ()] == 1
    assert 0 < samples["spreadboard_report_age_seconds", ()] < 5
    assert samples["spreadboard_stream_messages_total", first] == 10
    assert samples["spreadboard_stream_late", first] == 1
    assert samples["spreadboard_stream_state", tuple(sorted([*first, ("state", "LIVE")]))] == 1
    assert samples["spreadboard_stream_data_age_seconds", first] == 0.04
    assert (
        "spreadboard_stream_data_age_seconds",
        (("exchange", "binance"), ("number", "2"), ("route", "spot")),
    ) not in samples
    assert samples["spreadboard_clock_offset_seconds", (("exchange", "binance"),)] == -0.0125
    assert "spreadboard_clock_error_seconds" not in types, "not known"
    assert samples["spreadboard_rest_weight_used", (("exchange", "binance"), ("product", "spot"))] == 100
    assert types["spreadboard_stream_latency_seconds"] == "histogram"
    below = {
        dict(labels)["le"]: value
        for (name, labels), value in samples.items()
        if name == "spreadboard_stream_latency_seconds_bucket" and ("number", "1") in labels
    }
    assert (below["0.001"], below["0.005"], below["0.01"], below["0.1"], below["10"], below["+Inf"]) == (
        3,
        3,
        5,
        6,
        6,
        7,
    )
    assert samples["spreadboard_stream_latency_seconds_sum", first] == pytest.approx(100.0955)
    usable = {
        dict(labels)["symbol"]: value
        for (name, labels), value in samples.items()
        if name == "spreadboard_market_usable"
    }
    assert usable == {"BTC/USDT": 1, "ETH/USDT": 0, 'ODD"\\/USDT': 1}


def test_a_silent_worker_s_figures_are_left_out(client, trader):
    client.force_login(trader)
    assert read(client)[1] == {("spreadboard_up", ()): 0}
    report(age_s=60, **figures())
    samples = read(client)[1]
    assert set(samples) == {("spreadboard_up", ()), ("spreadboard_report_age_seconds", ())}
    assert samples["spreadboard_up", ()] == 0


def test_a_report_without_figures_is_no_trouble(client, trader):
    client.force_login(trader)
    report()
    assert read(client)[1]["spreadboard_up", ()] == 1


def test_the_writer_refuses_what_would_be_wrong():
    page = Exposition("x_")
    page.add("a_total", "counter", "A\nhelp \\ text.", 1)
    with pytest.raises(ValueError, match="is a counter"):
        page.add("a_total", "gauge", "A.", 1)
    with pytest.raises(ValueError, match="2 counts for 2 bounds"):
        page.histogram("h", "H.", [1, 2], [1, 2], 3)
    assert parse(page.text())[1] == {("x_a_total", ()): 1}
