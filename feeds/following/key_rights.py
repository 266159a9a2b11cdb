"""What an API key may do: asked before anything else, told to the store, and refused if it may withdraw."""

from structlog.typing import FilteringBoundLogger

from feeds.account import AccountApi, KeyRights, TellsRights
from feeds.errors import CredentialsError, ExchangeError, ParseError, TransportError
from feeds.following.signed_rest import SignedRest


async def ask_rights(api: AccountApi, rest: SignedRest, log: FilteringBoundLogger) -> KeyRights | None:
    """None where the exchange cannot be asked (some have no such question, others none in their test networks): then go
    on, and say so. Raises CredentialsError, and what an outage raises: then the question stands."""
    if not isinstance(api, TellsRights):
        return None
    try:
        rights = api.parse_rights((await rest.ask(api.rights_request())).raw)
    except CredentialsError:
        raise
    except (ExchangeError, ParseError, TransportError) as error:
        if isinstance(error, TransportError) and error.status != 404:
            raise
        if isinstance(error, ExchangeError) and api.clock_error(error):
            raise  # it was the time that was refused
        log.warning("key rights unknown", error=str(error))
        return None
    if rights.withdraw:
        log.error("key may withdraw", permission=rights.withdraw_name)
    elif rights.withdraw is None:
        log.warning("key rights unknown", error="the answer does not say whether the key may withdraw")
    return rights


def refused_withdrawal(permission: str, exchange: str) -> str:
    return (
        f"This key may withdraw ({permission} at {exchange}) and is therefore not used. "
        "Switch that permission off, or enter a key that may only read."
    )
