"""Prometheus' text format, version 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats), the part that we write.

Families come one after the other, each with its help and type, its samples together; no sample twice.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Kind = Literal["counter", "gauge", "histogram"]
Value: TypeAlias = float | int | None
"""None: not known, no sample."""


class Exposition:
    """Collects samples; :meth:`text` is the page. All names begin with ``prefix``."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._families: dict[str, tuple[Kind, str, dict[str, str]]] = {}  # name -> kind, help, samples

    def add(self, name: str, kind: Kind, about: str, value: Value, **labels: object) -> None:
        """One sample of a counter or gauge. A counter's name ends with ``_total``."""
        samples = self._family(name, kind, about)
        if value is not None:
            samples[f"{self._prefix}{name}{_labels(labels)}"] = _number(value)

    def histogram(
        self, name: str, about: str, bounds: Sequence[float], counts: Sequence[int], total: float, **labels: object
    ) -> None:
        """``counts`` of each bucket by itself, one more than ``bounds``; ``total`` is the sum of the values."""
        if len(counts) != len(bounds) + 1:
            raise ValueError(f"{name}: {len(counts)} counts for {len(bounds)} bounds")
        samples, below = self._family(name, "histogram", about), 0
        for bound, count in zip([*bounds, float("inf")], counts, strict=True):
            below += count
            samples[f"{self._prefix}{name}_bucket{_labels({**labels, 'le': _number(bound)})}"] = str(below)
        samples[f"{self._prefix}{name}_sum{_labels(labels)}"] = _number(total)
        samples[f"{self._prefix}{name}_count{_labels(labels)}"] = str(below)

    def _family(self, name: str, kind: Kind, about: str) -> dict[str, str]:
        known = self._families.setdefault(name, (kind, about, {}))
        if known[0] != kind:
            raise ValueError(f"{name} is a {known[0]}, not a {kind}")
        return known[2]

    def text(self) -> str:
        lines = []
        for name, (kind, about, samples) in self._families.items():
            if samples:
                help_text = about.replace("\\", "\\\\").replace("\n", "\\n")
                lines += [f"# HELP {self._prefix}{name} {help_text}", f"# TYPE {self._prefix}{name} {kind}"]
                lines += [f"{sample} {value}" for sample, value in samples.items()]
        return "\n".join([*lines, ""])


def _labels(labels: Mapping[str, object]) -> str:
    escaped = {
        name: str(value).replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
        for name, value in labels.items()
    }
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped.items()) + "}" if escaped else ""


def _number(value: float) -> str:
    if value == float("inf"):
        return "+Inf"
    return f"{value:.15g}"
