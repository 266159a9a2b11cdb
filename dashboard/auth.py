"""Signing in without a password: sign-in links for people, API tokens for programs.

Both are ``<row>-<secret>``: the row is looked up by its number, the secret (256 bits from the operating system) is
compared with the stored digest in constant time. Being that random, it needs no slow hash: SHA-256 cannot be searched.
"""

import hashlib
import hmac
import secrets
from datetime import timedelta
from typing import TypeVar

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db.models import Q
from django.utils import timezone

from dashboard.models import ApiToken, SignInLink, Token

FIRST_USER = "trader"

TokenModel = TypeVar("TokenModel", bound=Token)


def first_user() -> User:
    """The user of a fresh installation, made if there is none at all: no password, so links alone let him in."""
    user = User.objects.filter(is_active=True).order_by("pk").first()
    if user is not None:
        return user
    user, _ = User.objects.get_or_create(username=FIRST_USER)
    if not user.password:
        user.set_unusable_password()
        user.save()
    return user


def new_link(user: User, life: timedelta | None = None) -> str:
    """The path of a new sign-in link for ``user``: it signs in once, and for ``life`` (the settings' if None)."""
    expires = timezone.now() + (settings.SIGN_IN_LINK_LIFE if life is None else life)
    return f"/signin/{_issue(SignInLink(user=user, expires=expires))}/"


def start_link(user: User) -> str:
    """The path of the link that a start prints: it holds until it is used, or the next start makes another.

    A start is also the occasion to clear away links and sessions that are over.
    """
    SignInLink.objects.filter(Q(expires=None) | Q(expires__lt=timezone.now())).delete()
    Session.objects.filter(expire_date__lt=timezone.now()).delete()
    return f"/signin/{_issue(SignInLink(user=user))}/"


def address_of(path: str, port: int | None = None) -> str:
    """The full address of a path, as a browser on this machine (or the first of ``CSRF_TRUSTED_ORIGINS``) reaches it.

    ``port``: the one really listened on, where PORT is 0.
    """
    if settings.CSRF_TRUSTED_ORIGINS:
        return f"{settings.CSRF_TRUSTED_ORIGINS[0]}{path}"
    host = "localhost" if settings.HOST in ("0.0.0.0", "::", "[::]") else settings.HOST
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"{'https' if settings.HTTPS else 'http'}://{host}:{port or settings.PORT}{path}"


def link_of(text: str) -> SignInLink | None:
    """The link that can sign in now, or None: unknown, used, expired, or its user is not active."""
    link = _found(SignInLink, text)
    if link is None or link.used or (link.expires and link.expires <= timezone.now()):
        return None
    return link


def use_link(link: SignInLink) -> User | None:
    """Spend it. None if somebody else was faster: the row's update decides, so that a link signs in once."""
    spent = SignInLink.objects.filter(pk=link.pk, used=None).update(used=timezone.now())
    return link.user if spent else None


def new_api_token(user: User, label: str = "") -> str:
    """A token for programs. Shown once: only its digest is stored."""
    return _issue(ApiToken(user=user, label=label))


def user_of_token(text: str) -> User | None:
    """The active user of an API token, or None."""
    token = _found(ApiToken, text)
    return token.user if token else None


def bearer(header: str) -> str | None:
    """The token of an ``Authorization`` header, or None if it is of another kind."""
    kind, _, token = header.partition(" ")
    return token.strip() if kind.lower() == "bearer" and token.strip() else None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _issue(token: Token) -> str:
    secret = secrets.token_urlsafe(32)
    token.digest = _digest(secret)
    token.save()
    return f"{token.pk}-{secret}"


def _found(model: type[TokenModel], text: str) -> TokenModel | None:
    row, _, secret = text.partition("-")
    if not (row.isascii() and row.isdigit() and len(row) < 19 and secret):
        return None
    token = model._default_manager.select_related("user").filter(pk=int(row)).first()
    if token is None or not hmac.compare_digest(token.digest, _digest(secret)) or not token.user.is_active:
        return None
    return token
