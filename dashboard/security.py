"""Who may ask: middleware for API tokens, CSRF and sign-in, and the throttle of passwords."""

import ipaddress
from datetime import timedelta
from typing import Any

from django.contrib.auth import middleware as auth_middleware
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden, JsonResponse
from django.http.response import HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware
from django.utils import timezone
from django.utils.deprecation import MiddlewareMixin

from dashboard import auth
from dashboard.models import SignInFailure

API = ("/api/", "/metrics")
"""What programs ask: by token too, and refused without a page."""


def error_answer(status: int, code: str, message: str, **more: Any) -> JsonResponse:
    """An error of the REST API, in the form of docs/protocol.md section 3."""
    return JsonResponse({"error": {"code": code, "message": message, **more}}, status=status)


def unauthorized(message: str = "Sign in, or send an API token.") -> JsonResponse:
    answer = error_answer(401, "unauthorized", message)
    answer["WWW-Authenticate"] = "Bearer"
    return answer


class ApiTokenMiddleware(MiddlewareMixin):
    """``Authorization: Bearer`` on the REST API. A request with a token is the token's alone: its cookies are ignored,
    and a wrong one is refused even if the browser's session would do."""

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        if not request.path_info.startswith(API):
            return None
        token = auth.bearer(request.headers.get("Authorization", ""))
        if token is None:
            return None
        user = auth.user_of_token(token)
        if user is None:
            return unauthorized("The API token is not known.")
        request.user = user
        request.auser = _always(user)
        request.api_token = True  # type: ignore[attr-defined]  # our own, for CsrfMiddleware
        return None


def _always(user: Any) -> Any:
    async def auser() -> Any:
        return user

    return auser


class CsrfMiddleware(CsrfViewMiddleware):
    """Django's, but for requests with an API token: no browser adds that by itself, so nobody can forge one."""

    def process_view(
        self, request: HttpRequest, callback: Any, callback_args: tuple[Any, ...], callback_kwargs: dict[str, Any]
    ) -> HttpResponseForbidden | None:
        if getattr(request, "api_token", False):
            return None
        return super().process_view(request, callback, callback_args, callback_kwargs)


class LoginRequiredMiddleware(auth_middleware.LoginRequiredMiddleware):
    """Every view needs sign-in unless it says otherwise; the API answers 401 instead of leading to the sign-in page."""

    # The stubs allow redirects alone; Django passes on any response.
    def handle_no_permission(self, request: HttpRequest, view_func: Any) -> HttpResponseBase:  # type: ignore[override]
        if request.path_info.startswith(API):
            return unauthorized()
        return super().handle_no_permission(request, view_func)


class NoStoreMiddleware(MiddlewareMixin):
    """What only a signed-in user may see stays in no cache. (Static files are answered before this and are cached.)"""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        response.headers.setdefault("Cache-Control", "no-store")
        return response


class Throttle:
    """Slows down guessing of passwords: after too many refusals for one address, or for one name, further attempts are
    refused unseen for a while.

    In the database, so that all web processes count together. An attempt is counted before the password is looked at,
    or a hundred at once would all pass. Small and our own, because django-axes (8.3.1) hands its arguments over in the
    wrong order under ASGI. An owner whom somebody locks out this way signs in by link (``manage.py signinlink``).
    """

    WINDOW = timedelta(minutes=10)
    PER_ADDRESS = 10
    PER_NAME = 30

    @classmethod
    def admits(cls, address: str, name: str) -> bool:
        """Count an attempt; False if it is one too many (then it does not count, so that waiting helps)."""
        now = timezone.now()
        SignInFailure.objects.filter(at__lte=now - cls.WINDOW).delete()
        address, name = _network(address), _name(name)
        attempt = SignInFailure.objects.create(address=address, name=name, at=now)
        if (
            SignInFailure.objects.filter(address=address).count() <= cls.PER_ADDRESS
            and SignInFailure.objects.filter(name=name).count() <= cls.PER_NAME
        ):
            return True
        attempt.delete()
        return False

    @classmethod
    def succeeded(cls, address: str, name: str) -> None:
        """The attempts were the owner's own typing errors."""
        SignInFailure.objects.filter(address=_network(address), name=_name(name)).delete()


def _name(text: str) -> str:
    """What somebody typed as a name, as far as the database can hold it."""
    return text.replace("\0", "")[:150]


def _network(address: str) -> str:
    """Whom an address stands for: an IPv6 user has a whole /64 to choose from."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    return str(ipaddress.ip_network((ip, 64), strict=False)) if ip.version == 6 else str(ip)
