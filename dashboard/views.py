"""The pages. Templates and what each is given, besides ``user`` and ``request``:

=================  ================  ================================================================================
Template           URL name          Context
=================  ================  ================================================================================
dashboard.html     dashboard         nothing: everything comes by ``/ws/`` and ``/api/``
accounts.html      accounts          ``exchanges``: [{"name", "products": [...], "passphrase": bool, "passphrase_name",
                                     "how", "tells_rights"}] that accounts can be added of; ``accounts``: the rows of
                                     ``/api/accounts/``; ``has_password``: bool
sharing.html       sharing           ``account``, ``shares`` (user, role), ``form`` (user, role)
balances.html      balances          ``balances``: the rows of ``/api/balances/``; ``accounts`` as above
login.html         login             ``form`` (username, password), ``next``
signin.html        signin            ``owner``: the name that the link's button signs in
password.html      password          ``form`` (old_password unless there is none yet, new_password1, new_password2)
error.html                           ``status``, ``title``, ``message``
=================  ================  ================================================================================

``page`` is the URL name, wherever there is one. Posted to without a page of their own: ``logout`` and
``account_remove`` (with the account's number).
"""

from typing import Any

import structlog
from django.conf import settings
from django.contrib.auth import login as sign_in
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth import views as auth_views
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm, SetPasswordForm
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dashboard import access, api, auth, holdings, live, records, rows
from dashboard.forms import ShareForm
from dashboard.models import ExchangeAccount
from dashboard.rows import Moment
from dashboard.security import API, Throttle, error_answer

log = structlog.get_logger(__name__)

# -- pages -----------------------------------------------------------------------------------------------------------


@require_safe
def dashboard(request: HttpRequest) -> HttpResponse:
    return render(request, "dashboard.html", {"page": "dashboard"})


@require_safe
def balances(request: HttpRequest) -> HttpResponse:
    """The stored balances with their ages, readable without JavaScript."""
    user = _user(request)
    mine = list(access.visible(user.pk))
    return render(
        request,
        "balances.html",
        {
            "page": "balances",
            "balances": rows.balance_rows(holdings.balances_of(mine), Moment.of(records.report())),
            "accounts": api.account_rows(user),
        },
    )


@require_safe
def accounts(request: HttpRequest) -> HttpResponse:
    key = records.sealing_key()
    exchanges = [
        {"name": name, "passphrase": bool(facts.get("passphrase")), "products": facts.get("products", []), **facts}
        for name, facts in sorted(key.exchanges.items() if key else ())
    ]
    user = _user(request)
    context = {
        "page": "accounts",
        "exchanges": exchanges,
        "accounts": api.account_rows(user),
        "has_password": user.has_usable_password(),
    }
    return render(request, "accounts.html", context)


@require_POST
def account_remove(request: HttpRequest, number: int) -> HttpResponse:
    """``DELETE /api/accounts/<id>/`` for a page without JavaScript."""
    api.remove_account(_owned(request, number))
    return redirect("accounts")


@require_http_methods(["GET", "HEAD", "POST"])
def sharing(request: HttpRequest, number: int) -> HttpResponse:
    """With whom an account is shared. ``remove`` is the number of a user who shall not see it any more."""
    account = _owned(request, number)
    form = ShareForm(request.POST if request.method == "POST" and "remove" not in request.POST else None)
    if request.method == "POST":
        if (leaving := request.POST.get("remove", "")).isdecimal() and len(leaving) < 19:
            account.shares.filter(user=int(leaving)).delete()
            live.accounts_changed()
            return redirect("sharing", number)
        if form.is_valid():
            try:
                access.share(account, form.cleaned_data["user"], form.cleaned_data["role"])
            except LookupError as error:
                form.add_error("user", str(error))
            else:
                live.accounts_changed()
                return redirect("sharing", number)
    shares = account.shares.select_related("user")
    return render(request, "sharing.html", {"page": "sharing", "account": account, "shares": shares, "form": form})


def _owned(request: HttpRequest, number: int) -> ExchangeAccount:
    """404 for who may not see the account, 403 for who may only look at it."""
    account = get_object_or_404(access.visible(_user(request).pk), pk=number)
    if access.role(_user(request).pk, account) != access.OWNER:
        raise PermissionDenied
    return account


# -- signing in ------------------------------------------------------------------------------------------------------


class Login(auth_views.LoginView):
    """Name and password, throttled."""

    template_name = "login.html"
    redirect_authenticated_user = True
    extra_context = {"page": "login"}  # noqa: RUF012  (Django's own attribute)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not Throttle.admits(_address(request), request.POST.get("username", "")):
            log.warning("sign-in throttled", address=_address(request))
            message = "Too many attempts to sign in. Wait ten minutes, or use a sign-in link: manage.py signinlink"
            return _error(request, 429, "Wait a little", message)
        return super().post(request, *args, **kwargs)

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        name = form.cleaned_data["username"]
        Throttle.succeeded(_address(self.request), name)
        log.info("signed in", user=name, by="password")
        return super().form_valid(form)

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        log.warning("sign-in refused", address=_address(self.request))
        answer = super().form_invalid(form)
        answer.status_code = 401
        return answer


login = sensitive_post_parameters("password")(Login.as_view())


@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def signin(request: HttpRequest, token: str) -> HttpResponse:
    """A sign-in link. It is good for one use, and programs open links too: mail scanners, chat previews, browsers that
    load ahead. So a link signs in at once only if a person demonstrably opened it (typed or pasted it, or clicked it
    outside of the browser); else its page shows a button, and the POST behind that signs in."""
    link = auth.link_of(token)
    if link is None:
        message = (
            "This sign-in link was used already, has expired, or never existed. Make a new one: manage.py signinlink"
        )
        return _error(request, 404, "The link is not valid", message)
    if request.method != "POST" and not _opened_by_a_person(request):
        return render(request, "signin.html", {"page": "signin", "owner": link.user.get_username()})
    user = auth.use_link(link)
    if user is None:
        return _error(request, 404, "The link is not valid", "This sign-in link was used a moment ago.")
    sign_in(request, user, backend=settings.AUTHENTICATION_BACKENDS[0])
    log.info("signed in", user=user.get_username(), by="link")
    return redirect("dashboard")


def _opened_by_a_person(request: HttpRequest) -> bool:
    """By the fetch metadata that browsers send and scripts of pages cannot set. "none": no page led here."""
    headers = request.headers
    return (
        request.method == "GET"
        and headers.get("Sec-Fetch-Site") == "none"
        and headers.get("Sec-Fetch-Mode") == "navigate"
        and headers.get("Sec-Fetch-Dest") == "document"
        and not any(name in headers for name in ("Sec-Purpose", "Purpose", "X-Moz", "X-Purpose"))
    )


@sensitive_post_parameters("old_password", "new_password1", "new_password2")
@require_http_methods(["GET", "HEAD", "POST"])
def password(request: HttpRequest) -> HttpResponse:
    """Set or change the own password; other sessions of this user end."""
    user = _user(request)
    kind = PasswordChangeForm if user.has_usable_password() else SetPasswordForm
    form = kind(user, request.POST or None)
    if request.method == "POST" and form.is_valid():
        form.save()
        update_session_auth_hash(request, user)
        log.info("password set", user=user.get_username())
        return redirect("dashboard")
    return render(request, "password.html", {"page": "password", "form": form})


# -- errors ----------------------------------------------------------------------------------------------------------


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    message = "The server could not understand the request."
    if "HTTP_HOST" in str(exception):
        message = "This server does not answer to the host name in the address. Name it in ALLOWED_HOSTS."
    return _error(request, 400, "Not understood", message)


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _error(request, 403, "Not allowed", "You may not do this.")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    log.warning("request refused: CSRF", path=request.path_info, reason=reason)
    message = "The page was too old, or the request came from elsewhere. Load the page anew and try again."
    return _error(request, 403, "Load the page anew", message, code="csrf")


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _error(request, 404, "Not found", "There is nothing at this address.")


def server_error(request: HttpRequest) -> HttpResponse:
    return _error(request, 500, "Something broke", "The server made an error. Its log tells more.")


_CODES = {400: "bad_request", 403: "forbidden", 404: "not_found", 429: "throttled", 500: "server_error"}


def _error(request: HttpRequest, status: int, title: str, message: str, code: str | None = None) -> HttpResponse:
    if request.path_info.startswith(API):
        return error_answer(status, code or _CODES[status], message)
    return render(request, "error.html", {"status": status, "title": title, "message": message}, status=status)


# -- helpers ---------------------------------------------------------------------------------------------------------


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # LoginRequiredMiddleware lets nobody else in
    return request.user


def _address(request: HttpRequest) -> str:
    """Who asks. Behind a proxy Daphne puts the true one here, if told to trust it (TRUST_PROXY)."""
    return request.META.get("REMOTE_ADDR") or "unknown"
