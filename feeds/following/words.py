"""Why an account is not LIVE, and what a trader should know although it is: as sentences for the screen."""

from collections.abc import Sequence

from feeds.account import AccountApi, Credentials, Remarks
from feeds.following.fill_history import FillHistory
from feeds.following.journal import STORE_S, Journal
from feeds.following.polls import AccountPolls
from feeds.following.private_stream import STANDING, PrivateStream
from feeds.following.signed_rest import SignedRest
from feeds.trading import HedgeMode

HEDGED = "Hedge mode: an order that only reduces closes a position, any other opens one."


def lack(
    journal: Journal, streams: Sequence[PrivateStream], polls: AccountPolls, history: FillHistory, now_s: float
) -> str:
    """What is lacking for LIVE; "" if nothing is. ``now_s`` is monotonic."""
    if journal.writing_since_s is not None and now_s - journal.writing_since_s >= STORE_S:
        return "The database does not take the figures. They wait, and are tried again."
    for stream in streams:
        if stream.state not in STANDING:
            reason = f" ({stream.reason})" if stream.reason else ""
            return f"The private {stream.route.name} stream is {stream.state}{reason}."

    def standing_s(product: str) -> float:
        return max((s.standing_s or 0.0 for s in streams if product in s.route.subjects), default=0.0)

    if lacking := polls.lacking(standing_s):
        return lacking
    if history.to_read:
        why = f" {history.error.sentence}" if history.error else ""
        markets = "1 market" if history.to_read == 1 else f"{history.to_read} markets"
        return f"Fills that may have been missed are being read: {markets} to go.{why}"
    return ""


def remark(api: AccountApi, history: FillHistory, rest: SignedRest, credentials: Credentials, *, trading: bool) -> str:
    """What is to be said of an account that is LIVE; "" if nothing is. ``trading``: orders may be placed on it."""
    if any(rest.blocked_s(product) for product in api.clocks()):
        return "The exchange asks us to wait: for the moment only what its streams tell is new."
    if isinstance(api, Remarks) and (said := api.remark()):
        return said
    for market in history.unlisted:
        return f"Fills in {market.native} ({market.product}) cannot be shown yet: the list of markets lacks it."
    for symbol, reason in history.refused.items():
        return f"The fill history of {symbol} cannot be read: {credentials.cut_from(reason)}"
    return HEDGED if trading and isinstance(api, HedgeMode) and api.in_hedge_mode() else ""
