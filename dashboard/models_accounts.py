"""More tables about accounts: who else sees one, money that came and went, what did not agree, what it was worth; and
each user's settings. Part of ``dashboard.models``, and imported from there."""

from django.conf import settings
from django.db import models

from dashboard.fields import DecimalTextField

ACCOUNT = "dashboard.ExchangeAccount"


class AccountShare(models.Model):
    """A user who sees somebody else's account. A viewer sees; an owner may do all that the account's first owner may,
    but cannot be made to lose it by the first one's sharing."""

    class Role(models.TextChoices):
        VIEWER = "viewer"
        OWNER = "owner"

    account = models.ForeignKey(ACCOUNT, on_delete=models.CASCADE, related_name="shares")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="account_shares")
    role = models.CharField(max_length=8, choices=Role.choices, default=Role.VIEWER)

    class Meta:
        ordering = ("account", "id")
        constraints = (models.UniqueConstraint(fields=("account", "user"), name="share_once"),)

    def __str__(self) -> str:
        return f"{self.account_id} {self.user_id} {self.role}"


class Transfer(models.Model):
    """Money that came or went, not by a fill; ``status`` may advance until it is "done" or "failed". Kinds and ``note``
    are as in ``feeds.account_domain.Transfer``."""

    account = models.ForeignKey(ACCOUNT, on_delete=models.CASCADE)
    product = models.CharField(max_length=16)
    recv_ns = models.BigIntegerField()
    kind = models.CharField(max_length=16)
    transfer_id = models.CharField(max_length=128)
    asset = models.CharField(max_length=32)
    amount = DecimalTextField()  # signed: positive came
    fee = DecimalTextField(null=True)
    symbol = models.CharField(max_length=64, default="")  # of a market, if it is of one
    note = models.CharField(max_length=64, default="")
    status = models.CharField(max_length=8)
    exchange_ms = models.BigIntegerField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("account", "kind", "transfer_id"), name="transfer_once"),)
        indexes = (models.Index(fields=("account", "exchange_ms", "id"), name="transfer_time"),)

    def __str__(self) -> str:
        return f"{self.kind} {self.amount} {self.asset}"


class CheckedBalances(models.Model):
    """How far the balances of a wallet were held against what was told, as in ``feeds.account_domain.Checked``."""

    account = models.ForeignKey(ACCOUNT, on_delete=models.CASCADE)
    product = models.CharField(max_length=16)
    totals = models.JSONField(default=dict)  # asset -> text
    asof_ms = models.BigIntegerField()
    booked = models.JSONField(default=list)  # pairs of texts
    only_here = models.BooleanField(default=False)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("account", "product"), name="checked_once"),)

    def __str__(self) -> str:
        return f"{self.account_id} {self.product} {self.asof_ms}"


class AccountNotice(models.Model):
    """Something about an account that did not agree (see ``feeds.following.reconcile``): one open row per ``cause``."""

    account = models.ForeignKey(ACCOUNT, on_delete=models.CASCADE)
    kind = models.CharField(max_length=32)
    cause = models.CharField(max_length=160)
    sentence = models.TextField()
    expected = models.CharField(max_length=128, blank=True, default="")  # by the streams
    found = models.CharField(max_length=128, blank=True, default="")  # by REST
    asof_ms = models.BigIntegerField()
    count = models.PositiveIntegerField(default=1)
    opened_ns = models.BigIntegerField()
    changed_ns = models.BigIntegerField()
    resolved_ns = models.BigIntegerField(null=True)
    resolution = models.TextField(blank=True, default="")

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("account", "cause"), condition=models.Q(resolved_ns=None), name="notice_open"
            ),
        )
        indexes = (models.Index(fields=("account", "id"), name="notice_newest"),)

    def __str__(self) -> str:
        return f"{self.kind} {self.cause}"


class EquityPoint(models.Model):
    """What an account was worth at a full minute, in several currencies.

    ``grain`` is the longest of a minute, an hour and a day (seconds) that this point stands for: that of an hour stays
    when its minutes are thinned out. An incomplete one was valued without something, as ``reason`` says.
    """

    account = models.ForeignKey(ACCOUNT, on_delete=models.CASCADE)
    at_ms = models.BigIntegerField()
    grain = models.PositiveIntegerField()
    values = models.JSONField(default=dict)  # currency -> text; a currency without a price is missing
    reasons = models.JSONField(default=dict)  # currency -> sentences
    complete = models.BooleanField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("account", "at_ms"), name="equity_once"),)
        indexes = (models.Index(fields=("grain", "at_ms"), name="equity_thinning"),)

    def __str__(self) -> str:
        return f"{self.account_id} {self.at_ms}"


class UserSettings(models.Model):
    """How a user wants it. Without a row: the defaults."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="board_settings")
    zone = models.CharField(max_length=64, default="UTC")
    currency = models.CharField(max_length=8, default="USDT")
    sound = models.BooleanField(default=False)
    notifications = models.BooleanField(default=False)
    title_profit = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"settings of {self.user_id}"


class OrderTicket(models.Model):
    """An order that was asked for from here (see ``feeds.tickets``): written down before it was sent."""

    account = models.ForeignKey(ACCOUNT, on_delete=models.CASCADE)
    key = models.CharField(max_length=64)
    client_id = models.CharField(max_length=64)
    wish = models.JSONField()
    state = models.CharField(max_length=8)
    sentence = models.TextField(blank=True, default="")
    order_id = models.CharField(max_length=64, blank=True, default="")
    sent_ns = models.BigIntegerField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("account", "key"), name="ticket_key"),)
        indexes = (models.Index(fields=("account", "state"), name="ticket_state"),)

    def __str__(self) -> str:
        return f"{self.client_id} {self.state}"
