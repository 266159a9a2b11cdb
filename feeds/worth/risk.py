"""Figures of a position that no exchange tells alike. Pure."""

from decimal import Decimal


def liquidation_distance(size: Decimal, mark: Decimal | None, liquidation: Decimal | None) -> str | None:
    """How far the mark may move against the position before it is liquidated, as a ratio of the mark, rounded down to
    six decimals ("0.1" is 10 %); negative beyond it, None where there is no liquidation price or no mark."""
    if mark is None or liquidation is None or not mark or not size:
        return None
    away = (mark - liquidation) if size > 0 else (liquidation - mark)
    return f"{(away / mark).quantize(Decimal('1e-6'), rounding='ROUND_FLOOR'):f}"
