"""Addresses. Symbols hold slashes and colons ("BTC/USDT:USDT"), hence ``path``."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from dashboard import api, api_across, api_holdings, api_orders, api_user, metrics, views

urlpatterns = [
    path("", views.dashboard, name="dashboard"),
    path("balances/", views.balances, name="balances"),
    path("accounts/", views.accounts, name="accounts"),
    path("accounts/<int:number>/remove/", views.account_remove, name="account_remove"),
    path("accounts/<int:number>/sharing/", views.sharing, name="sharing"),
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
    path("api/balances/", api_holdings.balances),
    path("api/positions/", api_holdings.positions),
    path("api/orders/", api_holdings.orders),
    path("api/fills/", api_holdings.fills),
    path("api/fills.csv", api_holdings.fills_csv),
    path("api/transfers/", api_holdings.transfers),
    path("api/notices/", api_holdings.notices),
    path("api/accounts/<int:number>/shares/", api_user.shares),
    path("api/accounts/<int:number>/shares/<int:user>/", api_user.share),
    path("api/accounts/<int:number>/orders/", api_orders.place),
    path("api/accounts/<int:number>/orders/cancel/", api_orders.cancel),
    path("api/accounts/<int:number>/cancel-all/", api_orders.cancel_all),
    path("api/cancel-all/", api_orders.cancel_everything),
    path("api/settings/", api_user.settings),
    path("api/portfolio/", api_user.portfolio),
    path("api/equity/", api_user.equity),
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
