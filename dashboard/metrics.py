"""``/metrics``: what the worker reports, for Prometheus. Docs: operations.md section 6."""

from typing import Any

from django.http import HttpRequest, HttpResponse

from dashboard import records
from dashboard.api import endpoint
from dashboard.exposition import CONTENT_TYPE, Exposition
from dashboard.rows import Moment
from feeds.domain import StreamState

_CONNECTION_COUNTERS = {
    "messages": "Frames received.",
    "bytes": "Bytes received in frames.",
    "dropped": "Frames dropped because the buffer was full.",
    "not_understood": "Frames that could not be understood.",
    "unknown": "Frames of a kind that is not known.",
    "reconnects": "Connections made after one was lost.",
}
_CONNECTION_GAUGES = {
    "subscriptions": "Subscriptions on the connection.",
    "buffered": "Frames that wait to be processed.",
    "messages_per_s": "Frames a second, over about five seconds.",
}


@endpoint("GET")
def metrics(request: HttpRequest) -> HttpResponse:
    """While the worker is silent only that is told: its last figures would look like present ones."""
    page, report = Exposition("spreadboard_"), records.report()
    moment = Moment.of(report)
    alive = report is not None and moment.silent_s is None
    page.add("up", "gauge", "1 while the worker reports.", int(alive))
    if report is not None:
        age_s = moment.age_here_ms(report.recv_ns) / 1000
        page.add("report_age_seconds", "gauge", "Since the worker's last report.", age_s)
        if alive:
            _worker(page, report.body)
            for row in report.body.get("metrics", {}).get("exchanges", []):
                _exchange(page, row)
            bounds = [ms / 1000 for ms in report.body.get("metrics", {}).get("worker", {}).get("bounds_ms", [])]
            for row in report.body.get("metrics", {}).get("connections", []):
                _connection(page, row, bounds)
            for row in report.body.get("streams", []):
                _market(page, row)
    return HttpResponse(page.text(), content_type=CONTENT_TYPE)


def _worker(page: Exposition, body: dict[str, Any]) -> None:
    worker = body.get("metrics", {}).get("worker", {})
    started_s = _seconds(body.get("started_ms"))
    page.add("worker_start_time_seconds", "gauge", "When the worker started.", started_s)
    page.add("worker_cpu_cores", "gauge", "The worker's share of a core.", worker.get("cpu"))
    rss = worker.get("rss_mb")
    page.add("worker_resident_bytes", "gauge", "The worker's memory.", None if rss is None else rss * 1e6)
    page.add("frames_published_total", "counter", "Frames handed to browsers' relays.", worker.get("published"))
    page.add("changes_conflated_total", "counter", "Changes that another one overtook.", worker.get("conflated"))
    if overhead := worker.get("overhead"):
        bounds = [ms / 1000 for ms in worker["bounds_ms"]]
        about = "Frame received to frame handed on, conflation apart."
        page.histogram("worker_overhead_seconds", about, bounds, overhead["counts"], overhead["sum_ms"] / 1000)


def _exchange(page: Exposition, row: dict[str, Any]) -> None:
    name = row["exchange"]
    page.add("exchange_markets", "gauge", "Instruments known.", row["markets"], exchange=name)
    page.add(
        "connections_renewed_total",
        "counter",
        "Connections replaced before they ended.",
        row.get("renewed"),
        exchange=name,
    )
    page.add(
        "exchange_notices", "gauge", "Notices that stand (status, maintenance).", len(row["notices"]), exchange=name
    )
    for key, about in (("offset", "The exchange's clock minus ours."), ("error", "How far that may be wrong.")):
        page.add(f"clock_{key}_seconds", "gauge", about, _seconds(row.get(f"clock_{key}_ms")), exchange=name)
    for product, usage in row["budget"].items():
        labels = {"exchange": name, "product": product}
        page.add("rest_weight_used", "gauge", "Weight used of this window's REST budget.", usage["used"], **labels)
        page.add("rest_weight_limit", "gauge", "Weight that the exchange allows.", usage["limit"], **labels)
        page.add("rest_requests_total", "counter", "REST requests sent.", usage["requests"], **labels)
        page.add("rest_failures_total", "counter", "REST requests that failed.", usage["failures"], **labels)


def _connection(page: Exposition, row: dict[str, Any], bounds: list[float]) -> None:
    labels = {"exchange": row["exchange"], "route": row["route"], "number": row["number"]}
    page.add("stream_state", "gauge", "1 with the state as a label.", 1, **labels, state=row["state"])
    for name, about in _CONNECTION_COUNTERS.items():
        page.add(f"stream_{name}_total", "counter", about, row.get(name, 0), **labels)
    for name, about in _CONNECTION_GAUGES.items():
        page.add(f"stream_{name}", "gauge", about, row[name], **labels)
    age_ms = row["last_data_age_ms"]
    page.add(
        "stream_data_age_seconds", "gauge", "Since the last data.", None if age_ms is None else age_ms / 1000, **labels
    )
    late = row["late_since_ms"] is not None
    page.add("stream_late", "gauge", "1 while the stream is later than usual.", int(late), **labels)
    latency = row["latency"]
    about = "Exchange's sending to our receipt, by the exchange's clock as measured."
    page.histogram("stream_latency_seconds", about, bounds, latency["counts"], latency["sum_ms"] / 1000, **labels)


def _market(page: Exposition, row: dict[str, Any]) -> None:
    labels = {"exchange": row["exchange"], "symbol": row["symbol"]}
    usable = int(StreamState(row["state"]).usable)
    page.add("market_state", "gauge", "1 with the state as a label.", 1, **labels, state=row["state"])
    page.add("market_usable", "gauge", "1 while the market may be relied on.", usable, **labels)
    age_ms = row["age_ms"]
    page.add(
        "market_age_seconds", "gauge", "Age of the market's data.", None if age_ms is None else age_ms / 1000, **labels
    )
    page.add("market_resyncs_total", "counter", "Times its book was found wrong and rebuilt.", row["resyncs"], **labels)


def _seconds(ms: float | None) -> float | None:
    return None if ms is None else ms / 1000
