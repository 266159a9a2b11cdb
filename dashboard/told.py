"""Stored rows as the feeds speak of them. Synchronous, like ``dashboard.ledger``."""

from dashboard.models import Fill
from dashboard.models_accounts import Transfer
from feeds import account_domain


def fill_of(row: Fill) -> account_domain.Fill:
    return account_domain.Fill(
        product=row.product,
        symbol=row.symbol,
        id=row.fill_id,
        order_id=row.order_id,
        client_id=row.client_id or None,
        side="buy" if row.side == "buy" else "sell",
        price=row.price,
        size=row.size,
        fee=row.fee,
        fee_asset=row.fee_asset or None,
        maker=row.maker,
        realised=row.realised,
        position_side=row.position_side or None,
        margin=row.margin,
        exchange_ms=row.exchange_ms,
    )


def transfer_of(row: Transfer) -> account_domain.Transfer:
    return account_domain.Transfer(
        product=row.product,
        id=row.transfer_id,
        kind=row.kind,  # type: ignore[arg-type]  # one of the kinds, as it was written
        asset=row.asset,
        amount=row.amount,
        fee=row.fee,
        symbol=row.symbol or None,
        note=row.note,
        status=row.status,  # type: ignore[arg-type]  # as it was written, too
        exchange_ms=row.exchange_ms,
    )


def since(account_id: int, since_ms: int) -> tuple[list[account_domain.Fill], list[account_domain.Transfer]]:
    fills = Fill.objects.filter(account=account_id, exchange_ms__gte=since_ms).order_by("exchange_ms", "pk")
    transfers = Transfer.objects.filter(account=account_id, exchange_ms__gte=since_ms).order_by("exchange_ms", "pk")
    return [fill_of(row) for row in fills], [transfer_of(row) for row in transfers]
