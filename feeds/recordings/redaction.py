"""What of an account's frames and answers a recording may hold: everything but what gives the account away.

Three rules, each for itself; the sentence in docs/operations.md section 7 says the same:

1. The secrets that are known (API key, secret, passphrase, listen keys and other tokens) are replaced wherever they
   stand, in any frame, in each form that JSON or an address may give them.
2. In what belongs to an account, the values of the fields in :data:`HIDDEN_FIELDS` are replaced, whatever they are:
   ``"(hidden)"`` for a text, ``0`` for a number, ``null`` for anything else. Everything else stays byte for byte.
3. What belongs to an account and is no JSON is not recorded at all.

Of requests only the path is recorded, and of its parameters those that stood there before it was signed.
Amounts, prices, ids of orders and fills, and times stay: without them nothing could be examined.
"""

import json
import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, quote, urlencode

HIDDEN = "(hidden)"
SHORTEST = 6
"""Shorter secrets are not looked for in the text: they would make holes into prices."""

HIDDEN_FIELDS = frozenset(
    {
        # keys, logins, signatures
        *("apikey", "apisecret", "secretkey", "secret", "passphrase", "password", "sign", "signature", "accesskey"),
        *("token", "accesstoken", "refreshtoken", "wstoken", "listenkey", "jwt", "authorization", "challenge"),
        *("signedchallenge", "publickey", "privatekey", "nonce"),
        # who it is
        *("uid", "userid", "user", "username", "useruid", "masteruid", "mainuid", "parentuid", "subuid", "memberid"),
        *("iiban", "allowedcidrblock", "allowedcidrblocks", "ipaddresses", "ipwhitelist"),
        *("account", "accountid", "accountno", "accountnumber", "accountalias", "accountname", "accountuid"),
        *("subaccount", "subaccountid", "subaccountname", "portfolioid", "portfoliouuid", "retailportfolioid"),
        *("clientid", "customerid", "profileid", "inviterid", "referralid", "affiliateid", "iprestrictlist"),
        *(
            "label",
            "alias",
            "nickname",
            "email",
            "phone",
            "mobile",
            "ip",
            "ips",
            "ipaddress",
            "iprestrictlist",
            "kyclv",
        ),
        # names that a person or a program gave to orders
        *("clientorderid", "clordid", "cliordid", "origclientorderid", "newclientorderid", "orderlinkid", "note"),
        *("clientalgoid", "clientstrategyid", "cancelorigclientorderid", "listclientorderid", "originalclientorderid"),
        # where money went
        *("address", "addresstag", "txid", "withdrawid", "depositid"),
    }
)
"""Names of fields without regard to case, hyphens and underscores: ``listenKey``, ``listen_key``, ``LISTENKEY``."""

SHORT_FIELDS = frozenset({"c", "C"})
"""Binance's one-letter fields of an order report (``executionReport``, ``ORDER_TRADE_UPDATE``): names of orders."""

_ORDER_REPORT = re.compile(rb'"e"\s*:\s*"(?:executionReport|ORDER_TRADE_UPDATE|TRADE_LITE|ALGO_UPDATE|listStatus)"')
_FIELD = re.compile(r'"([A-Za-z][A-Za-z0-9_\-]{0,40})"\s*:\s*')
_NESTED = re.compile(r'\\"([A-Za-z][A-Za-z0-9_\-]{0,40})\\"\s*:\s*(\\"(?:[^"\\]|\\\\[^"])*\\"|[^,}\]\\]+)')
_decode_at = json.JSONDecoder().raw_decode


def hides(name: str) -> bool:
    return name.replace("-", "").replace("_", "").lower() in HIDDEN_FIELDS


class Redactor:
    """Knows the secrets of the accounts that are followed. Use :meth:`public` for what has no account in it."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[bytes, re.Pattern[bytes]]] = {}

    def know(self, secrets: Iterable[str]) -> None:
        """Look for these from now on. May be called from another thread."""
        found = {secret: _form(secret) for secret in secrets if len(secret) >= SHORTEST}
        self._known = {**self._known, **found}

    def public(self, raw: bytes) -> bytes:
        """Rule 1 alone."""
        for anchor, form in self._known.values():
            if anchor in raw:
                raw = form.sub(HIDDEN.encode(), raw)
        return raw

    def private(self, raw: bytes) -> bytes:
        """All three rules."""
        text = self.public(raw).decode(errors="replace")
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            return json.dumps(HIDDEN).encode()
        short = SHORT_FIELDS if _ORDER_REPORT.search(raw) else frozenset()
        return _without_fields(text, short).encode()

    def path(self, path: str, *, private: bool) -> str:
        """The path of a request with its query."""
        path = self.public(path.encode()).decode()
        address, _, query = path.partition("?")
        if not private or not query:
            return path
        pairs = [(name, HIDDEN if hides(name) else value) for name, value in parse_qsl(query, keep_blank_values=True)]
        return f"{address}?{urlencode(pairs)}"


def _form(secret: str) -> tuple[bytes, re.Pattern[bytes]]:
    """What to look for first, and all forms: as it is, in JSON however often that was put into JSON, in an address."""
    runs = re.findall("[A-Za-z0-9]+", secret)
    return max(runs, key=len, default="").encode(), re.compile("".join(map(_letter, secret)).encode())


def _letter(letter: str) -> str:
    if letter.isascii() and letter.isalnum():
        return letter
    told = json.dumps(letter)[1:-1].lstrip("\\")
    forms = {letter, told, quote(letter, safe=""), quote(letter, safe="").lower()}
    return rf"\\*(?:{'|'.join(sorted(map(re.escape, forms)))})"


def _without_fields(text: str, short: frozenset[str]) -> str:
    parts: list[str] = []
    done = at = 0
    while (field := _FIELD.search(text, at)) is not None:
        at = field.end()
        if _escaped(text, field.start()) or not (hides(field[1]) or field[1] in short):
            continue
        value, end = _decode_at(text, at)
        parts += [text[done:at], _instead_of(value)]
        done = at = end
    return _NESTED.sub(_nested, "".join([*parts, text[done:]]))


def _escaped(text: str, quote_at: int) -> bool:
    """Does this quotation mark stand within a text?"""
    return quote_at > 0 and text[quote_at - 1] == "\\"


def _instead_of(value: object) -> str:
    if isinstance(value, str):
        return json.dumps(HIDDEN if value else "")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "0"
    return "null"


def _nested(field: re.Match[str]) -> str:
    """JSON within a text."""
    if not hides(field[1]):
        return field[0]
    instead = f'\\"{HIDDEN}\\"' if field[2].startswith("\\") else "0"
    return field[0][: field.start(2) - field.start()] + instead
