"""What an exchange cannot keep, by its own rules, and why. Everything that is not here is asked of everybody.

The key is (exchange, check) or (exchange, "check.part"), the exchange as it is called in the table. The parts:

``deltas.whole``       each level is told for itself: a book may be shown between two states of the market
``subscribe.candles``  no candle comes within seconds of a subscription
``figures.volume``     the running bar's volume is not exact
``history.volume``     a bar's volume is told in quote currency: in base it lies between those at its high and its low
``replay.window``      a book that the price has moved out of is dropped and asked for anew
``gap.deep``           a lost update is noticed in the best ten levels only
``gap.alone``          after a lost update other markets may be rebuilt as well
``instruments.native`` the exchange's own name of a market is another one by REST than in frames
``snapshot.rest``      books by REST are not asked for by an adapter
``kick.backoff``       further tries to come back are not one row of one connection
``rejected.unknown``   a market that does not exist is not refused (it must not become usable all the same)

A line must say what the exchange's documentation says, or what it was seen to do where that says otherwise: "our
adapter does not do it" is no reason.
"""

_UNSUMMED = "ccxt checks no sums of Kraken unless told to: what is lost is found later, by comparing with REST"

_CCXT_READS = "frames and answers are read by ccxt, within its own objects"

BY_CCXT: dict[str, str] = {
    "complete": "there is no adapter: a line of the configuration is all",
    "limits": "ccxt sends and connects at its own pace",
    "renewal": "ccxt replaces no connection before it ends",
    "disorder": _CCXT_READS,
    "malformed": _CCXT_READS,
    "replay": _CCXT_READS,
    "mutations": _CCXT_READS,
    "rest": _CCXT_READS,
    "unsubscribe": "ccxt goes on to receive what nobody watches, until its object is closed",
}
"""By check: what is asked of no exchange that is followed through ccxt."""

_LEVELS = "one message changes one level, so a book between two states of the market is what the exchange told"

_TURNOVER = "a bar's volume by REST is turnover in quote currency, and no stream tells candles"

WAIVERS: dict[tuple[str, str], str] = {
    ("alpaca", "gap"): "its books have neither numbers nor checksums: nothing tells that an update is missing",
    ("alpaca", "disorder"): "its books have neither numbers nor checksums: nothing tells which update is the earlier",
    ("alpaca", "subscribe.candles"): "a minute is told when it is over: the first one after a subscription is the next",
    ("coinbase", "gap.alone"): "its numbers count a connection's frames: what was lost may be any market's",
    ("coinbase", "subscribe.candles"): "it streams no minutes: they are made of prints, the first is the next one",
    ("krakenfutures", "deltas.whole"): _LEVELS,
    ("krakenfutures", "subscribe.candles"): "it streams no candles: the first minute made of prints is the next one",
    ("lmex", "figures.volume"): _TURNOVER,
    ("lmex", "history.volume"): _TURNOVER,
    ("lmex", "replay.window"): "snapshots reach 50 levels; of those beyond it only changes are told",
    ("kraken by ccxt", "gap"): _UNSUMMED,
    ("kraken by ccxt", "checksum"): _UNSUMMED,
    ("kraken by ccxt", "rejected"): "ccxt tells nobody that Kraken refused: a market is asked for again until it comes",
    ("kraken by ccxt", "instruments.native"): "ccxt has the name by REST, frames have another",
    ("kraken by ccxt", "snapshot.rest"): "ccxt asks for them, and they are what its stream is compared with",
    ("kraken by ccxt", "kick.backoff"): "each market asks ccxt again by itself, after a backoff of its own",
    ("kraken", "gap.deep"): "no sequence numbers: the checksum covers the best ten levels a side",
    ("bitstamp", "gap"): "every message is a whole book, so the next one makes up for one that is lost",
    (
        "bitstamp",
        "rejected.unknown",
    ): "as observed, what does not exist is acknowledged like anything else, and stays mute",
    ("binance", "rejected.unknown"): "what does not exist is acknowledged like anything else, and stays mute",
}
