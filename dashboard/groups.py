"""Names in the channel layer: channels, groups, and which group carries a topic.

Channels allows ASCII letters, digits, hyphen, underscore and period, and fewer than 100 characters. A topic has others
(``book@10:binance:BTC/USDT``), so each byte that is not a letter, digit, hyphen or period becomes an underscore and
two hex digits: different topics never share a group. A name that would get too long ends in its hash instead.
"""

import hashlib
import re

FEEDS_CHANNEL = "feeds"
"""Where the worker listens."""

WORKERS_GROUP = "spreadboard.workers"
"""Where every relay hears that the worker lives."""

RELAY_PREFIX = "relay"
"""How the names of the relays' own channels begin."""

_PREFIX = "topic."
_LONGEST = 99
_KEPT_WHEN_HASHED = 50
_OTHER = re.compile(rb"[^A-Za-z0-9.-]")


def group_of(topic: str) -> str:
    """The group that carries this topic (in canonical spelling)."""
    name = _PREFIX + _OTHER.sub(lambda match: b"_%02x" % match[0][0], topic.encode()).decode()
    if len(name) <= _LONGEST:
        return name
    digest = hashlib.sha256(topic.encode()).hexdigest()[:40]
    # "__" cannot come from escaping, so a hashed name is never another topic's plain one
    return f"{name[:_KEPT_WHEN_HASHED]}__{digest}"
