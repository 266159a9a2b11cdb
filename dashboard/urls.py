"""Addresses. Symbols hold slashes and colons ("BTC/USDT:USDT"), hence ``path``."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from dashboard import api, api_across, metrics, views

urlpatterns = [
    path("", views.dashboard, name="dashboard"),
    path("balances/", views.balances, name="balances"),
    path("accounts/", views.accounts, name="accounts"),
    path("accounts/<int:number>/remove/", views.account_remove, name="account_remove"),
    path("login/", views.login, name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("signin/<str:token>/", views.signin, name="signin"),
    path("password/", views.password, name="password"),
    path("healthz", api.healthz, name="healthz"),
    path("metrics", metrics.metrics, name="metrics"),
    path("api/markets/", api.markets),
    path("api/book/<str:exchange>/<path:symbol>/", api.book),
    path("api/candles/<str:exchange>/<path:symbol>/", api.candles),
    path("api/accounts/", api.accounts),
    path("api/accounts/<int:number>/", api.account),
    path("api/sealing-key/", api.sealing_key),
    path("api/balances/", api.balances),
    path("api/positions/", api.positions),
    path("api/orders/", api.orders),
    path("api/fills/", api.fills),
    path("api/across/<path:symbol>/", api_across.across),
    path("api/matrix/<path:symbol>/", api_across.matrix),
    path("api/arbitrage/", api_across.arbitrage),
    path("api/arbitrage/settings/", api_across.arbitrage_settings),
    path("api/fees/", api_across.fees),
    path("api/fees/<str:exchange>/<str:product>/", api_across.fee),
]

handler400 = views.bad_request
handler403 = views.forbidden
handler404 = views.not_found
handler500 = views.server_error
