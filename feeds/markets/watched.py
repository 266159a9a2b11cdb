"""The topics of one market that somebody watches, by kind."""

from collections.abc import Callable, Container

from feeds.topics import Topic

KINDS = ("book", "leg", "quote", "trades", "candles")


class Watched:
    """``changed`` is called with each topic that is told of."""

    def __init__(self, changed: Callable[[str], None]) -> None:
        self._changed = changed
        self._topics: dict[str, dict[str, Topic]] = {kind: {} for kind in KINDS}

    def add(self, topic: Topic) -> None:
        self._topics[topic.kind][str(topic)] = topic

    def discard(self, topic: Topic) -> None:
        self._topics[topic.kind].pop(str(topic), None)

    def all(self) -> list[Topic]:
        return [topic for group in self._topics.values() for topic in group.values()]

    def tell(self, *kinds: str) -> None:
        for kind in kinds:
            for name in self._topics[kind]:
                self._changed(name)

    def tell_bars(self, intervals: Container[str | None]) -> None:
        """Bars of these intervals changed."""
        for name, topic in self._topics["candles"].items():
            if topic.interval in intervals:
                self._changed(name)
