"""Quantiles of the last minute in fixed memory. (Signatures; being filled in.)"""

from feeds.clock import SYSTEM, Clock


class Histogram:
    """Milliseconds of about the last ``window_s`` seconds."""

    def __init__(self, *, window_s: float = 60.0, clock: Clock = SYSTEM) -> None:
        raise NotImplementedError

    def add(self, ms: float) -> None:
        """Count one value. Values below 0 (clocks differ) keep their sign."""
        raise NotImplementedError

    def quantile(self, q: float) -> float | None:
        """The q-quantile (0 to 1) in ms, None without values."""
        raise NotImplementedError

    def summary(self) -> dict[str, float] | None:
        """``{"p50": 0.2, "p99": 1.1}``, rounded for the screen; None without values."""
        raise NotImplementedError
