"""What the portfolios need of the database, and the equity they leave in it. Synchronous; called through
``dashboard.store``, and for the REST API."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from django.db import transaction

from dashboard import access, preferences, told
from dashboard.holdings import FillFilter, fill_query
from dashboard.models import Balance, ExchangeAccount, Fill, Listing, Position
from dashboard.models_accounts import AccountShare, EquityPoint, Transfer
from feeds import account_domain
from feeds.worth import portfolio
from feeds.worth.portfolio import Held

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400
KEPT_MS = {MINUTE_S: 7 * DAY_S * 1000, HOUR_S: 91 * DAY_S * 1000}
"""How long points of a grain are kept; those of days for ever."""


def people() -> list[portfolio.Person]:
    """The users who see an account."""
    numbers = set(ExchangeAccount.objects.values_list("owner", flat=True))
    numbers |= set(AccountShare.objects.values_list("user", flat=True))
    found = []
    for number in sorted(numbers):
        wishes = preferences.of(number)
        accounts = tuple(access.visible(number).values_list("pk", flat=True))
        found.append(portfolio.Person(id=number, currency=wishes.currency, zone=wishes.zone, accounts=accounts))
    return found


def held() -> list[Held]:
    """All accounts with what they hold."""
    balances: dict[int, list[account_domain.Balance]] = {}
    for row in Balance.objects.exclude(total=Decimal(0)):
        told = account_domain.Balance(product=row.product, asset=row.asset, total=row.total, asof_ms=row.asof_ms)
        balances.setdefault(row.account_id, []).append(told)
    positions: dict[int, list[account_domain.Position]] = {}
    for position in Position.objects.exclude(size=Decimal(0)):
        positions.setdefault(position.account_id, []).append(
            account_domain.Position(
                product=position.product,
                symbol=position.symbol,
                side=position.side,  # type: ignore[arg-type]  # one of the kinds, as it was written
                size=position.size,
                entry=position.entry,
                mark=position.mark,
                unrealised=position.unrealised,
                settle=position.settle or None,
                asof_ms=position.asof_ms,
            )
        )
    wallets = wallets_of(None)
    return [
        Held(
            id=account.pk,
            exchange=account.exchange,
            label=account.label,
            state=account.state,
            trouble="" if account.state == "LIVE" else account.sentence or f"The account is {account.state}.",
            wallets=tuple(sorted(wallets.get(account.pk, ()))),
            balances=tuple(balances.get(account.pk, ())),
            positions=tuple(positions.get(account.pk, ())),
        )
        for account in ExchangeAccount.objects.all()
    ]


def wallets_of(accounts: Sequence[ExchangeAccount] | None) -> dict[int, set[str]]:
    """The products whose balances an account's exchange has told, also where they hold nothing. None: of all."""
    told = Listing.objects.filter(kind="balances")
    if accounts is not None:
        told = told.filter(account__in=accounts)
    found: dict[int, set[str]] = {}
    for number, product in told.values_list("account", "product"):
        found.setdefault(number, set()).add(product)
    return found


def cost_history(account_id: int, after: tuple[int, int], limit: int) -> list[tuple[int, account_domain.Fill]]:
    found = fill_query(ExchangeAccount(pk=account_id), FillFilter(), newest_first=False, after=after)[:limit]
    return [(row.pk, told.fill_of(row)) for row in found]


def fill_count(account_id: int) -> int:
    return Fill.objects.filter(account=account_id).count()


def done_transfers(account_id: int) -> list[account_domain.Transfer]:
    found = Transfer.objects.filter(account=account_id, status="done").order_by("exchange_ms", "pk")
    return [told.transfer_of(row) for row in found]


# -- equity ------------------------------------------------------------------------------------------------------------


def put_equity(points: Sequence[portfolio.EquityPoint]) -> None:
    """Store the points of a minute, once each, and thin out what is old enough.

    The first complete point of an hour or a day stands for it; before there is one, the first.
    """
    with transaction.atomic():
        known = set(ExchangeAccount.objects.filter(pk__in=[p.account for p in points]).values_list("pk", flat=True))
        for point in points:
            if point.account not in known:
                continue
            stored, new = EquityPoint.objects.get_or_create(
                account_id=point.account,
                at_ms=point.at_ms,
                defaults={
                    "grain": MINUTE_S,
                    "values": dict(point.values),
                    "reasons": dict(point.reasons),
                    "complete": point.complete,
                },
            )
            if new:
                _settle_grain(stored)
    if points:
        thin(max(point.at_ms for point in points))


def _settle_grain(point: EquityPoint) -> None:
    mine = EquityPoint.objects.filter(account=point.account_id)
    for grain, below in ((DAY_S, HOUR_S), (HOUR_S, MINUTE_S)):
        start_ms = point.at_ms - point.at_ms % (grain * 1000)
        within = mine.filter(at_ms__gte=start_ms, at_ms__lt=start_ms + grain * 1000, grain__gte=grain)
        standing = within.exclude(pk=point.pk).first()
        if standing is None or (point.complete and not standing.complete and standing.grain == grain):
            if standing is not None:
                standing.grain = (
                    below if standing.at_ms // (HOUR_S * 1000) != point.at_ms // (HOUR_S * 1000) else MINUTE_S
                )
                standing.save(update_fields=["grain"])
            point.grain = max(point.grain, grain)
            point.save(update_fields=["grain"])
            return


def thin(now_ms: int) -> int:
    """Forget minutes after a week, hours after three months; returns how many points went."""
    gone = 0
    for grain, kept_ms in KEPT_MS.items():
        gone += EquityPoint.objects.filter(grain=grain, at_ms__lt=now_ms - kept_ms).delete()[0]
    return gone


def day_begun(accounts: Sequence[int], since_ms: int, currency: str) -> Mapping[int, portfolio.EquityPoint]:
    found = {}
    whole = EquityPoint.objects.filter(at_ms__gte=since_ms, values__has_key=currency).exclude(reasons__has_key=currency)
    for number in accounts:
        row = whole.filter(account=number).order_by("at_ms").first()
        if row is not None:
            found[number] = portfolio.EquityPoint(
                account=number, at_ms=row.at_ms, values=row.values, reasons=row.reasons
            )
    return found


def equity_of(accounts: Sequence[ExchangeAccount], from_ms: int, to_ms: int, grain: int) -> list[EquityPoint]:
    """Points that stand for ``grain`` seconds at least, in the order of time."""
    found = EquityPoint.objects.filter(account__in=accounts, at_ms__gte=from_ms, at_ms__lt=to_ms, grain__gte=grain)
    return list(found.order_by("at_ms", "account"))
