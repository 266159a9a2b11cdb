"""What the portfolios need of the database, and the equity they leave in it. Synchronous; called through
``dashboard.store``, and for the REST API."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from django.db import transaction
from django.db.models import Min, Q

from dashboard import access, preferences, told
from dashboard.holdings import FillFilter, fill_query
from dashboard.models import Balance, ExchangeAccount, Fill, Listing, Position
from dashboard.models_accounts import AccountShare, EquityPoint, Transfer
from feeds import account_domain
from feeds.account_domain import FROM_OUTSIDE
from feeds.worth import moves, portfolio
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

    Of an hour's or a day's points the first that is complete in the most currencies stands for it: what is thinned out
    then says no more than what is kept.
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


def begin_ms(at_ms: int, grain: int) -> int:
    """When the minute, hour or day (UTC) of a moment began."""
    return at_ms - at_ms % (grain * 1000)


def _settle_grain(point: EquityPoint) -> None:
    """Which stands for its hour, and which for its day: one of each alone. That of a day stands for its hour, too."""
    day_ms, hour_ms = begin_ms(point.at_ms, DAY_S), begin_ms(point.at_ms, HOUR_S)
    standing = list(
        EquityPoint.objects.filter(
            Q(grain=DAY_S) | Q(at_ms__gte=hour_ms, at_ms__lt=hour_ms + HOUR_S * 1000),
            account=point.account_id,
            at_ms__gte=day_ms,
            at_ms__lt=day_ms + DAY_S * 1000,
            grain__gte=HOUR_S,
        ).exclude(pk=point.pk)
    )
    of_day = [row for row in standing if row.grain == DAY_S]
    of_hour = [row for row in standing if begin_ms(row.at_ms, HOUR_S) == hour_ms]
    if all(_says_more(point, row) for row in of_day):
        point.grain = DAY_S
    elif all(_says_more(point, row) for row in of_hour):
        point.grain = HOUR_S
    else:
        return
    replaced = of_day if point.grain == DAY_S else []
    for row in replaced:
        row.grain = HOUR_S  # of its own hour, unless that is this one
    for row in of_hour:
        row.grain = MINUTE_S
    for row in (point, *replaced, *of_hour):
        row.save(update_fields=["grain"])


def _says_more(point: EquityPoint, than: EquityPoint) -> bool:
    """Is it complete in more currencies?"""
    return len(_whole(point)) > len(_whole(than))


def _whole(point: EquityPoint) -> set[str]:
    return set(point.values) - set(point.reasons)


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
    """The points that stand for the minutes, hours or days (``grain`` in seconds) which begin from ``from_ms`` on and
    before ``to_ms``, in the order of time."""
    length_ms = grain * 1000
    first_ms, end_ms = (-(-ms // length_ms) * length_ms for ms in (from_ms, to_ms))
    found = EquityPoint.objects.filter(account__in=accounts, at_ms__gte=first_ms, at_ms__lt=end_ms, grain__gte=grain)
    return list(found.order_by("at_ms", "account"))


def first_points(accounts: Sequence[ExchangeAccount]) -> dict[int, int]:
    """When each account's equity was first stored; those without any are left out. Its day's point is kept for ever."""
    found = EquityPoint.objects.filter(account__in=accounts).values_list("account").annotate(Min("at_ms"))
    return dict(found)


def moved(accounts: Sequence[ExchangeAccount], from_ms: int, to_ms: int) -> list[Transfer]:
    """What came into the wallets that the equity of these accounts is the sum of, or left them, in the order of time:
    deposits, withdrawals, and of what moved between wallets that whose other side is in none of these."""
    wallets = wallets_of(accounts)
    for number, product in Balance.objects.filter(account__in=accounts).values_list("account", "product").distinct():
        wallets.setdefault(number, set()).add(product)
    found = Transfer.objects.filter(
        account__in=accounts,
        kind__in=FROM_OUTSIDE,
        exchange_ms__gte=from_ms - moves.NEAR_MS,  # a side before the first moment may be the other one's
        exchange_ms__lt=to_ms + moves.NEAR_MS,
    ).exclude(status="failed")
    inside = [row for row in found.order_by("exchange_ms", "pk") if row.product in wallets.get(row.account_id, ())]
    outside = moves.from_outside(inside, lambda row: (row.account_id, row.product))
    return [row for row in outside if from_ms <= row.exchange_ms < to_ms]
