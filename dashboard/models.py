"""The tables.

Written by whom: accounts and sign-in by the web side; everything that speaks of an exchange by the worker alone
(through ``dashboard.store`` and ``dashboard.records``). Times end in ``_ms`` (the exchange's clock) or ``_ns`` (ours),
both UTC since 1970. No table holds a secret: exchange keys are sealed boxes that only the worker can open, tokens and
sign-in links are digests.
"""

from django.conf import settings
from django.db import models

from dashboard.fields import DecimalTextField


class ExchangeAccount(models.Model):
    """An account at an exchange. ``source`` tells where its key comes from: entered in the browser, or the worker's
    environment (then ``name`` is that of the configuration, and ``sealed`` is empty)."""

    class Source(models.TextChoices):
        BROWSER = "browser"
        ENVIRONMENT = "environment"

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="exchange_accounts")
    source = models.CharField(max_length=16, choices=Source.choices, default=Source.BROWSER)
    name = models.CharField(max_length=64, blank=True, default="")
    exchange = models.CharField(max_length=32)
    label = models.CharField(max_length=50)
    products = models.JSONField(default=list)  # ["spot", "usdm"]
    symbols = models.JSONField(default=list)  # always asked for fills
    poll_s = models.FloatField(default=5.0)
    trading = models.BooleanField(default=False)  # may orders be placed here?
    only_here = models.BooleanField(default=False)  # nobody else trades on it: an order that is not ours is an alarm
    cancel_on_stop = models.BooleanField(default=False)  # the worker's stop cancels all open orders
    dead_man_s = models.PositiveIntegerField(default=0)  # the exchange cancels them if it hears nothing so long; 0: off
    rights = models.JSONField(default=dict)  # what the key may do, as feeds.account.KeyRights; {} before it was asked
    fingerprint = models.CharField(max_length=8, blank=True, default="")
    sealed = models.TextField(blank=True, default="")  # base64 of a libsodium sealed box
    key_id = models.CharField(max_length=32, blank=True, default="")  # SealingKey that it was sealed with
    state = models.CharField(max_length=16, default="CONNECTING")
    sentence = models.TextField(blank=True, default="")
    state_recv_ns = models.BigIntegerField(default=0)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(fields=("owner", "exchange", "label"), name="account_label"),
            models.UniqueConstraint(fields=("name",), condition=~models.Q(name=""), name="account_name"),
        )

    def __str__(self) -> str:
        return f"{self.exchange} {self.label}"


class AccountRow(models.Model):
    """Base of what an account holds."""

    account = models.ForeignKey(ExchangeAccount, on_delete=models.CASCADE)
    product = models.CharField(max_length=16)
    recv_ns = models.BigIntegerField()

    class Meta:
        abstract = True


class Balance(AccountRow):
    """One asset. A balance of zero stays, as a row that is not shown: its ``asof_ms`` keeps older news from reviving
    it."""

    asset = models.CharField(max_length=32)
    total = DecimalTextField()
    free = DecimalTextField(null=True)
    locked = DecimalTextField(null=True)
    asof_ms = models.BigIntegerField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("account", "product", "asset"), name="balance_asset"),)

    def __str__(self) -> str:
        return f"{self.product} {self.asset}"


class Position(AccountRow):
    """One position. A closed one stays as a row with size 0 that is not shown, for the same reason."""

    symbol = models.CharField(max_length=64)
    side = models.CharField(max_length=8)
    apart = models.CharField(max_length=16, blank=True, default="")
    size = DecimalTextField()
    entry = DecimalTextField()
    mark = DecimalTextField(null=True)
    unrealised = DecimalTextField(null=True)
    liquidation = DecimalTextField(null=True)
    leverage = DecimalTextField(null=True)
    margin = DecimalTextField(null=True)
    margin_mode = models.CharField(max_length=16, blank=True, default="")
    settle = models.CharField(max_length=32, blank=True, default="")
    asof_ms = models.BigIntegerField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("account", "symbol", "side", "apart"), name="position_side"),)

    def __str__(self) -> str:
        return f"{self.symbol} {self.side}"


class Order(AccountRow):
    """An order. ``status`` is that of ``feeds.account_domain.Order``, or "closed": open no longer, and how it ended is
    not known."""

    CLOSED = "closed"

    symbol = models.CharField(max_length=64)
    order_id = models.CharField(max_length=64)
    client_id = models.CharField(max_length=128, blank=True, default="")
    side = models.CharField(max_length=8)
    type = models.CharField(max_length=32)
    price = DecimalTextField(null=True)
    size = DecimalTextField()
    filled = DecimalTextField()
    average = DecimalTextField(null=True)
    status = models.CharField(max_length=16)
    reduce_only = models.BooleanField(default=False)
    time_in_force = models.CharField(max_length=16, blank=True, default="")
    created_ms = models.BigIntegerField(null=True)
    updated_ms = models.BigIntegerField()
    asof_ms = models.BigIntegerField()  # of the list that an order was missing in, or that it was last seen in

    class Meta:
        constraints = (models.UniqueConstraint(fields=("account", "symbol", "order_id"), name="order_id"),)
        indexes = (
            models.Index(fields=("account", "status"), name="order_open"),
            models.Index(fields=("account", "updated_ms", "id"), name="order_newest"),
        )

    def __str__(self) -> str:
        return f"{self.symbol} {self.order_id}"


class Fill(AccountRow):
    """One execution; the primary key is the ``row`` of the protocol: rising, never used twice."""

    symbol = models.CharField(max_length=64)
    fill_id = models.CharField(max_length=64)
    order_id = models.CharField(max_length=64)
    client_id = models.CharField(max_length=128, blank=True, default="")
    side = models.CharField(max_length=8)
    price = DecimalTextField()
    size = DecimalTextField()
    fee = DecimalTextField(null=True)
    fee_asset = models.CharField(max_length=32, blank=True, default="")
    maker = models.BooleanField(null=True)
    realised = DecimalTextField(null=True)
    position_side = models.CharField(max_length=8, blank=True, default="")
    margin = models.BooleanField(default=False)  # on borrowed money
    exchange_ms = models.BigIntegerField()
    source = models.CharField(max_length=8)  # "stream" or "rest": which came first

    class Meta:
        constraints = (models.UniqueConstraint(fields=("account", "symbol", "fill_id"), name="fill_once"),)
        indexes = (
            models.Index(fields=("account", "id"), name="fill_newest"),
            models.Index(fields=("account", "exchange_ms", "id"), name="fill_time"),
            models.Index(fields=("account", "symbol", "exchange_ms", "id"), name="fill_symbol_time"),
        )

    def __str__(self) -> str:
        return f"{self.symbol} {self.fill_id}"


class FillCursor(models.Model):
    """How far the REST history of one symbol's fills has been read (see ``feeds.account``)."""

    account = models.ForeignKey(ExchangeAccount, on_delete=models.CASCADE)
    symbol = models.CharField(max_length=64)
    value = models.CharField(max_length=128)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("account", "symbol"), name="cursor_symbol"),)

    def __str__(self) -> str:
        return f"{self.symbol} {self.value}"


class Listing(models.Model):
    """The newest complete list of one kind ("balances", "positions", "orders") and product that the exchange gave.

    What is not in it did not exist at ``asof_ms``: older news of things that have no row must not make one.
    """

    account = models.ForeignKey(ExchangeAccount, on_delete=models.CASCADE)
    kind = models.CharField(max_length=16)
    product = models.CharField(max_length=16)
    asof_ms = models.BigIntegerField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("account", "kind", "product"), name="listing_kind"),)

    def __str__(self) -> str:
        return f"{self.kind} {self.product}"


class MarketRow(models.Model):
    """An instrument that the worker knows."""

    exchange = models.CharField(max_length=32)
    symbol = models.CharField(max_length=64)
    native = models.CharField(max_length=64)
    product = models.CharField(max_length=16)
    base = models.CharField(max_length=32)
    quote = models.CharField(max_length=32)
    settle = models.CharField(max_length=32, blank=True, default="")
    tick = DecimalTextField()
    lot = DecimalTextField()
    min_size = DecimalTextField()
    min_notional = DecimalTextField()
    status = models.CharField(max_length=32)
    pinned = models.BooleanField(default=False)
    simulated = models.BooleanField(default=False)
    via = models.CharField(max_length=16, blank=True, default="")  # "ccxt": followed through that library

    class Meta:
        ordering = ("exchange", "symbol")
        constraints = (models.UniqueConstraint(fields=("exchange", "symbol"), name="market_symbol"),)

    def __str__(self) -> str:
        return f"{self.exchange} {self.symbol}"


class WorkerReport(models.Model):
    """The worker's newest report of itself: one row, written every second."""

    body = models.JSONField(default=dict)
    recv_ns = models.BigIntegerField()

    def __str__(self) -> str:
        return f"report of {self.recv_ns}"


class FeeRow(models.Model):
    """What an exchange charges for a product, in basis points: what the worker's file or its defaults say (written by
    the worker), and the user's own (written by the web side), which wins.

    An exchange that is not followed now keeps the user's own for when it is again.
    """

    exchange = models.CharField(max_length=32)
    product = models.CharField(max_length=16)
    followed = models.BooleanField(default=True)
    maker_bps = DecimalTextField()
    taker_bps = DecimalTextField()
    source = models.CharField(max_length=16)  # "file" or "default"
    note = models.TextField(blank=True, default="")
    user_maker_bps = DecimalTextField(null=True)
    user_taker_bps = DecimalTextField(null=True)

    class Meta:
        ordering = ("exchange", "product")
        constraints = (models.UniqueConstraint(fields=("exchange", "product"), name="fee_product"),)

    def __str__(self) -> str:
        return f"{self.exchange} {self.product}"


class ArbitrageThreshold(models.Model):
    """From where on a spread is an event: one row. Written by whom: as with fees."""

    bps = DecimalTextField()
    duration_s = models.FloatField()
    source = models.CharField(max_length=16)
    user_bps = DecimalTextField(null=True)
    user_duration_s = models.FloatField(null=True)

    def __str__(self) -> str:
        return f"{self.bps} bps"


class ArbitrageEvent(models.Model):
    """A spread that stayed above the threshold (``feeds.across.arbitrage``). Open while ``ended_ns`` is empty."""

    key = models.CharField(max_length=48, unique=True)  # the worker's, so that nothing is stored twice
    symbol = models.CharField(max_length=64)
    quote = models.CharField(max_length=32)
    size = DecimalTextField()
    fees = models.CharField(max_length=8)
    buy_exchange = models.CharField(max_length=32)
    buy_symbol = models.CharField(max_length=64)
    sell_exchange = models.CharField(max_length=32)
    sell_symbol = models.CharField(max_length=64)
    threshold_bps = DecimalTextField()
    started_ns = models.BigIntegerField()
    first_bps = DecimalTextField()
    largest_bps = DecimalTextField()
    largest_net = DecimalTextField()
    largest_ns = models.BigIntegerField()
    seen_ns = models.BigIntegerField()  # when it was last known to last
    ended_ns = models.BigIntegerField(null=True)
    reason = models.TextField(blank=True, default="")

    class Meta:
        indexes = (
            models.Index(fields=("ended_ns",), name="arbitrage_ended"),
            models.Index(fields=("symbol", "-id"), name="arbitrage_symbol"),
        )

    def __str__(self) -> str:
        return f"{self.symbol} {self.buy_exchange} {self.sell_exchange}"


class SealingKey(models.Model):
    """The public half of the worker's key, written by the worker; the newest row counts.

    ``exchanges`` tells which accounts it can follow, as docs/protocol.md section 4 shows it.
    """

    key_id = models.CharField(max_length=32, unique=True)
    public_key = models.CharField(max_length=64)  # base64
    exchanges = models.JSONField(default=dict)
    created = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.key_id


class Token(models.Model):
    """Base of what signs somebody in: only a digest of the secret is kept (see ``dashboard.auth``)."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    digest = models.CharField(max_length=64)  # SHA-256, hex
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        abstract = True


class ApiToken(Token):
    label = models.CharField(max_length=50, blank=True, default="")

    def __str__(self) -> str:
        return f"token {self.pk}"


class SignInLink(Token):
    """``expires`` is empty for the link of a start: it holds until it is used or the next start makes another."""

    expires = models.DateTimeField(null=True)
    used = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"link {self.pk}"


class SignInFailure(models.Model):
    """A refused password, for the throttle (see ``dashboard.security``)."""

    address = models.CharField(max_length=64)
    name = models.CharField(max_length=150)
    at = models.DateTimeField()

    class Meta:
        indexes = (
            models.Index(fields=("address", "at"), name="failure_address"),
            models.Index(fields=("name", "at"), name="failure_name"),
        )

    def __str__(self) -> str:
        return f"{self.address} {self.at}"


from dashboard.models_accounts import AccountNotice, AccountShare, CheckedBalances, EquityPoint, Transfer, UserSettings  # noqa: E402, F401 - Django finds them here
