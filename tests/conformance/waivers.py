"""What an exchange cannot keep, by its own documentation, and why. Everything that is not here is asked of everybody.

The key is (exchange, check) or (exchange, "check.part"). The parts:

``gap.deep``           a lost update is noticed in the best ten levels only
``gap.alone``          after a lost update other markets may be rebuilt as well
``rejected.unknown``   a market that does not exist is not refused (it must not become usable all the same)

A line must say what the exchange's documentation says: "our adapter does not do it" is no reason.
"""

WAIVERS: dict[tuple[str, str], str] = {
    ("kraken", "gap.deep"): "no sequence numbers: the checksum covers the best ten levels a side",
    ("binance", "rejected.unknown"): "what does not exist is acknowledged like anything else, and stays mute",
}
