"""Who sees which account: the one place that says so, for pages, API and WebSocket alike.

An account belongs to its owner and can be shared (``AccountShare``). A *viewer* sees it and changes nothing; an
*owner*, the first one or one by sharing, may change, trade and share. For everybody else it does not exist.
"""

from collections.abc import Collection, Iterable, Mapping

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet

from dashboard.models import ExchangeAccount
from dashboard.models_accounts import AccountShare

OWNER, VIEWER = AccountShare.Role.OWNER.value, AccountShare.Role.VIEWER.value


def visible(user_id: int) -> QuerySet[ExchangeAccount]:
    """The accounts that this user may see."""
    shared = AccountShare.objects.filter(user=user_id).values("account")
    return ExchangeAccount.objects.filter(Q(owner=user_id) | Q(pk__in=shared))


def roles(user_id: int, accounts: Iterable[ExchangeAccount]) -> dict[int, str]:
    """Account -> "owner" or "viewer"; accounts that the user may not see are left out."""
    shared: Mapping[int, str] = dict(AccountShare.objects.filter(user=user_id).values_list("account", "role"))
    found = {}
    for account in accounts:
        role = OWNER if account.owner_id == user_id else shared.get(account.pk)
        if role is not None:
            found[account.pk] = role
    return found


def role(user_id: int, account: ExchangeAccount) -> str | None:
    return roles(user_id, [account]).get(account.pk)


def share(account: ExchangeAccount, name: str, role: str) -> AccountShare:
    """Let this user see the account, or change what the user is to it. Raises LookupError with a sentence."""
    user = User.objects.filter(username=name, is_active=True).first()
    if user is None:
        raise LookupError(f"There is no user {name[:150]!r}.")
    if user.pk == account.owner_id:
        raise LookupError(f"The account is {name!r}'s own.")
    row, _ = AccountShare.objects.update_or_create(account=account, user=user, defaults={"role": role})
    return row


def allowed(pairs: Collection[tuple[int, int]]) -> set[tuple[int, int]]:
    """Those of the (user, account) pairs where the user may see the account."""
    accounts = {account for _, account in pairs}
    seen: set[tuple[int, int]] = set()
    for chunk in _chunks(sorted(accounts)):
        seen.update(ExchangeAccount.objects.filter(pk__in=chunk).values_list("owner_id", "pk"))
        seen.update(AccountShare.objects.filter(account__in=chunk).values_list("user_id", "account_id"))
    return seen & set(pairs)


def _chunks(numbers: list[int], size: int = 500) -> Iterable[list[int]]:
    """Databases take only so many values at once."""
    return (numbers[start : start + size] for start in range(0, len(numbers), size))
