"""spreadboard.toml: what it gives, and every way in which it can be wrong."""

import inspect
import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from feeds import accounts, config, exchanges
from feeds.account_config import ACCOUNT_KEYS, AccountConfig
from feeds.config import DEMO, Config, ExchangeConfig, load_config
from feeds.errors import ConfigError, Verdict

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "spreadboard.toml.example"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def load(folder: Path, text: str, env: dict[str, str] | None = None) -> Config:
    path = folder / "spreadboard.toml"
    path.write_text(text, encoding="utf-8")
    return load_config(path, env or {})


def binance(folder: Path, text: str = "") -> ExchangeConfig:
    return load(folder, f"[exchanges.binance]\n{text}").exchanges["binance"]


# What it gives


def test_defaults(folder: Path) -> None:
    loaded = load(folder, "[exchanges.binance]")
    assert loaded == Config(
        path=folder / "spreadboard.toml",
        exchanges={"binance": ExchangeConfig(name="binance", products=("spot", "usdm"))},
        state_dir=Path("var/state"),
    )
    assert not loaded.demo


def test_everything_set(folder: Path) -> None:
    loaded = load(
        folder,
        """
        [feeds]
        depth = 10
        conflation_ms = 100
        linger_s = 0
        save_s = 1.5
        state_dir = "kept"
        [exchanges.binance]
        simulated = true
        products = ["usdm"]
        pinned = ["BTC/USDT:USDT", "1000PEPE/USDT:USDT"]
        candles = ["5m", "1d"]
        stale_s = 2
        reconnect_s = 10.5
        buffer_frames = 100
        budget_share = 0.25
        life_s = 3600
        renew_at = 0.5
        poll_s = 0
        poll_after_s = 60
        poll_attempts = 3
        alarm_factor = 0
        alarm_s = 20
        [accounts.main]
        exchange = "binance"
        label = "Mine"
        symbols = ["BTC/USDT:USDT"]
        poll_s = 10
        """,
    )
    assert loaded == Config(
        path=folder / "spreadboard.toml",
        exchanges={
            "binance": ExchangeConfig(
                name="binance",
                simulated=True,
                products=("usdm",),
                pinned=("BTC/USDT:USDT", "1000PEPE/USDT:USDT"),
                candles=("5m", "1d"),
                stale_s=2.0,
                reconnect_s=10.5,
                buffer_frames=100,
                budget_share=0.25,
                life_s=3600.0,
                renew_at=0.5,
                poll_s=0.0,
                poll_after_s=60.0,
                poll_attempts=3,
                alarm_factor=0.0,
                alarm_s=20.0,
            )
        },
        accounts=(
            AccountConfig(
                name="main",
                exchange="binance",
                label="Mine",
                products=("usdm",),
                symbols=("BTC/USDT:USDT",),
                poll_s=10.0,
            ),
        ),
        depth=10,
        conflation_ms=100,
        linger_s=0.0,
        save_s=1.5,
        state_dir=folder / "kept",
    )


def test_the_demo() -> None:
    loaded = load_config(None, {"SPREADBOARD_VAR": "/data"})
    assert loaded.demo
    assert loaded.path is None
    assert loaded.state_dir == Path("/data/state")
    assert len(loaded.exchanges) == 8
    assert all(exchange.simulated and len(exchange.pinned) == 10 for exchange in loaded.exchanges.values())
    assert {"BTC/USDT", "ETH/USDT", "BTC/USDT:USDT"} <= set(loaded.exchanges["binance"].pinned)
    assert {"BTC/USD", "ETH/USD", "BTC/USDT"} <= set(loaded.exchanges["kraken"].pinned)


def test_the_demo_would_pass_as_a_file(folder: Path) -> None:
    for exchange in DEMO:
        products = f"products = {list(exchange.products)}"
        text = f"[exchanges.{exchange.name}]\nsimulated = true\n{products}\npinned = {list(exchange.pinned)}"
        loaded = load(folder, text, KEY).exchanges[exchange.name]
        assert msgspec.structs.replace(loaded, credentials=None) == exchange


def test_a_simulated_exchange(folder: Path) -> None:
    """It needs no key; with addresses of its own it stands there, and must have all of them."""
    alpaca = load(folder, "[exchanges.alpaca]\nsimulated = true").exchanges["alpaca"]
    assert alpaca.built_in and alpaca.credentials is None
    assert not load(folder, "[exchanges.kraken]").exchanges["kraken"].built_in
    there = 'ws_url = "ws://127.0.0.1:9"\nrest_url = "http://127.0.0.1:9"'
    kraken = load(folder, f"[exchanges.kraken]\nsimulated = true\n{there}").exchanges["kraken"]
    assert kraken.simulated and not kraken.built_in
    with pytest.raises(ConfigError, match=r"exchanges\.kraken\.simulated .*spot\.rest is real"):
        load(folder, '[exchanges.kraken]\nsimulated = true\nws_url = "ws://127.0.0.1:9"')


def test_a_disabled_exchange_is_checked_and_left_out(folder: Path) -> None:
    assert set(load(folder, "[exchanges.binance]\n[exchanges.kraken]\nenabled = false").exchanges) == {"binance"}
    with pytest.raises(ConfigError, match="exchanges: none is enabled"):
        load(folder, "[exchanges.binance]\nenabled = false")
    with pytest.raises(ConfigError, match=r"exchanges\.kraken\.stale_s"):
        load(folder, "[exchanges.binance]\n[exchanges.kraken]\nenabled = false\nstale_s = 0")


# Addresses


def test_one_address_for_the_whole_exchange(folder: Path) -> None:
    assert binance(folder, 'ws_url = "ws://127.0.0.1:9100"\nrest_url = "http://127.0.0.1:9100/x"').endpoints == {
        "spot.ws": "ws://127.0.0.1:9100",
        "usdm.ws": "ws://127.0.0.1:9100",
        "spot.ws_api": "ws://127.0.0.1:9100/ws-api/v3",
        "spot.rest": "http://127.0.0.1:9100/x",
        "usdm.rest": "http://127.0.0.1:9100/x",
    }


def test_a_product_s_own_address_wins(folder: Path) -> None:
    text = 'ws_url = "ws://a"\n[exchanges.binance.usdm]\nws_url = "ws://b"\nrest_url = "https://c"'
    assert binance(folder, text).endpoints == {
        "spot.ws": "ws://a",
        "spot.ws_api": "ws://a/ws-api/v3",
        "usdm.ws": "ws://b",
        "usdm.rest": "https://c",
    }


def test_a_host_that_is_no_product_s(folder: Path) -> None:
    """Such as that of accounts over all products: the exchange's address is its own, unless it has one."""
    text = '[exchanges.bybit]\nrest_url = "https://api.bybit.eu"\n[exchanges.bybit.unified]\nws_url = "wss://demo"'
    assert load(folder, text).exchanges["bybit"].endpoints == {
        **dict.fromkeys(("spot.rest", "linear.rest", "unified.rest"), "https://api.bybit.eu"),
        "unified.ws": "wss://demo",
    }


def test_the_web_socket_api_s_own_address(folder: Path) -> None:
    assert binance(folder, 'ws_url = "ws://a/"\nws_api_url = "ws://b/x"').endpoints == {
        "spot.ws": "ws://a/",
        "usdm.ws": "ws://a/",
        "spot.ws_api": "ws://b/x",
    }
    text = 'ws_api_url = "ws://b/x"\n[exchanges.binance.spot]\nws_url = "ws://a"'
    assert binance(folder, text).endpoints == {"spot.ws": "ws://a", "spot.ws_api": "ws://b/x"}


def test_kraken_s_address_is_complete(folder: Path) -> None:
    loaded = load(folder, '[exchanges.kraken]\nws_url = "wss://beta-ws.kraken.com/v2"\nbook_depth = 100')
    assert loaded.exchanges["kraken"].endpoints == {"spot.ws": "wss://beta-ws.kraken.com/v2"}
    assert loaded.exchanges["kraken"].book_depth == 100


def test_kraken_s_private_address_is_another(folder: Path) -> None:
    text = '[exchanges.kraken]\nws_url = "wss://a/v2"\nrest_url = "https://b"'
    text += '\n[exchanges.kraken.account]\nws_api_url = "wss://c/v2"'
    assert load(folder, text).exchanges["kraken"].endpoints == {
        "spot.ws": "wss://a/v2",
        **dict.fromkeys(("spot.rest", "account.rest"), "https://b"),
        "account.ws_api": "wss://c/v2",
    }


# Secrets


def test_secrets_come_from_the_environment() -> None:
    account = AccountConfig(name="main", exchange="binance", label="Main", products=("spot",))
    env = {"SPREADBOARD_MAIN_KEY": "k" * 20, "SPREADBOARD_MAIN_SECRET": " s\n"}
    credentials = account.credentials(env)
    assert (credentials.key, credentials.secret, credentials.passphrase) == ("k" * 20, "s", "")
    assert account.credentials(env | {"SPREADBOARD_MAIN_PASSPHRASE": "p"}).passphrase == "p"
    with pytest.raises(ConfigError, match=r"accounts\.main: the environment variable SPREADBOARD_MAIN_SECRET is not"):
        account.credentials({"SPREADBOARD_MAIN_KEY": "k"})


@pytest.mark.parametrize(
    ("key", "variable"),
    [("key", "KEY"), ("secret", "SECRET"), ("passphrase", "PASSPHRASE"), ("api_key", "KEY"), ("api_secret", "SECRET")],
)
def test_a_secret_in_the_file_is_refused_and_not_repeated(folder: Path, key: str, variable: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(folder, f'[exchanges.binance]\n[accounts.main]\nexchange = "binance"\n{key} = "HUNTER2"')
    assert str(refused.value) == (
        f"spreadboard.toml: accounts.main.{key}: secrets do not belong into this file; "
        f"set the environment variable SPREADBOARD_MAIN_{variable} instead"
    )


def test_a_misspelt_secret_is_not_repeated_either(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"accounts\.main\.secrett = \(not shown\): no such key") as refused:
        load(folder, '[exchanges.binance]\n[accounts.main]\nexchange = "binance"\nsecrett = "HUNTER2"')
    assert "HUNTER2" not in str(refused.value)


# What is wrong

WRONG = [
    ("[exchanges.binance]\nstale_s = ", "is not valid TOML: Invalid value (at "),
    ("\N{SNOWMAN}", "is not valid TOML: "),
    ("", "exchanges: none is enabled; add a table [exchanges.<name>]"),
    ("exchanges = 3", "exchanges = 3: must be tables, [exchanges.<name>]"),
    ("[exchange.binance]", "no such key; did you mean exchanges? allowed are feeds, exchanges, accounts"),
    ("[feeds]\ndepht = 5", "feeds.depht = 5: no such key; did you mean depth? allowed are depth, conflation_ms,"),
    ("feeds = 5", "feeds = 5: must be a table, [feeds]"),
    ("[feeds]\ndepth = 0\n[exchanges.binance]", "feeds.depth = 0: must be a whole number from 1 to 1000"),
    ("[feeds]\ndepth = 2.5\n[exchanges.binance]", "feeds.depth = 2.5: must be a whole number from 1 to 1000"),
    ("[feeds]\ndepth = true\n[exchanges.binance]", "feeds.depth = true: must be a whole number"),
    (
        "[feeds]\nconflation_ms = 5\n[exchanges.binance]",
        "feeds.conflation_ms = 5: must be a whole number of milliseconds from 10 to 1000",
    ),
    ("[feeds]\nlinger_s = -1\n[exchanges.binance]", "feeds.linger_s = -1: must be a number of seconds from 0 to 3600"),
    ("[feeds]\nsave_s = nan\n[exchanges.binance]", "feeds.save_s = NaN: must be a number of seconds from 1 to 3600"),
    ('[feeds]\nstate_dir = ""\n[exchanges.binance]', 'feeds.state_dir = "": must be a text of 1 to 1000 characters'),
    ("[exchanges.bitmex]", f"exchanges.bitmex: no such exchange; allowed are {', '.join(sorted(exchanges.REGISTRY))}"),
    ("[exchanges]\nbinance = 1", "exchanges.binance = 1: must be a table, [exchanges.binance]"),
    ("[exchanges.binance]\nstale = 3", "exchanges.binance.stale = 3: no such key; did you mean stale_s?"),
    ("[exchanges.binance]\nzzz = 3", "exchanges.binance.zzz = 3: no such key; allowed are enabled, simulated,"),
    (
        '[exchanges.binance]\nstale_s = "x"',
        'exchanges.binance.stale_s = "x": must be a number of seconds from 1 to 3600',
    ),
    ("[exchanges.binance]\nstale_s = inf", "exchanges.binance.stale_s = Infinity: must be a number of seconds from"),
    ("[exchanges.binance]\nstale_s = true", "exchanges.binance.stale_s = true: must be a number of seconds"),
    (
        "[exchanges.binance]\nstale_s = 30\nreconnect_s = 30",
        "exchanges.binance.reconnect_s = 30: must be more than stale_s, which is 30",
    ),
    ("[exchanges.binance]\nstale_s = 40", "exchanges.binance.reconnect_s: is missing; must be more than stale_s"),
    ('[exchanges.binance]\nenabled = "yes"', 'exchanges.binance.enabled = "yes": must be true or false'),
    ("[exchanges.binance]\nbuffer_frames = 1", "buffer_frames = 1: must be a whole number of frames from 100 to"),
    ("[exchanges.binance]\nbudget_share = 1", "budget_share = 1: must be a number from 0.05 to 0.95"),
    ("[exchanges.binance]\nlife_s = 5", "life_s = 5: must be a number of seconds from 60 to 604800"),
    ("[exchanges.binance]\nalarm_factor = 1.2", "alarm_factor = 1.2: must be 0 (no alarm), or from 1.5 on"),
    ("[exchanges.binance]\nalarm_s = 0", "alarm_s = 0: must be a number of seconds from 1 to 600"),
    ("[exchanges.binance]\npoll_s = -1", "poll_s = -1: must be a number of seconds from 0 to 600"),
    ("[exchanges.binance]\npoll_after_s = 1", "poll_after_s = 1: must be a number of seconds from 2 to 3600"),
    ("[exchanges.binance]\npoll_attempts = 0", "poll_attempts = 0: must be a whole number from 1 to 100"),
    ("[exchanges.binance]\nrenew_at = 1", "renew_at = 1: must be a number from 0.1 to 0.95"),
    (
        '[exchanges.binance]\nproducts = ["coinm"]',
        'exchanges.binance.products = ["coinm"]: "coinm" is none of spot, usdm',
    ),
    (
        "[exchanges.binance]\nproducts = []",
        "exchanges.binance.products = []: must be a list of texts with at least one",
    ),
    ('[exchanges.binance]\nproducts = "spot"', 'exchanges.binance.products = "spot": must be a list of texts'),
    (
        '[exchanges.binance]\npinned = ["BTCUSDT"]',
        'exchanges.binance.pinned = ["BTCUSDT"]: "BTCUSDT" must be a unified symbol, like BTC/USDT or BTC/USDT:USDT',
    ),
    ('[exchanges.binance]\npinned = ["BTC/USDT", 5]', 'pinned = ["BTC/USDT", 5]: must be a list of texts'),
    (
        '[exchanges.binance]\npinned = ["BTC/USDT", "BTC/USDT"]',
        '"BTC/USDT" is listed twice',
    ),
    (
        '[exchanges.binance]\nproducts = ["spot"]\npinned = ["BTC/USDT:USDT"]',
        '"BTC/USDT:USDT" is a derivative, but products are spot only',
    ),
    (
        '[exchanges.binance]\nproducts = ["usdm"]\npinned = ["BTC/USDT"]',
        '"BTC/USDT" is a spot market, but products are usdm only',
    ),
    (
        '[exchanges.binance]\ncandles = ["3m"]',
        'exchanges.binance.candles = ["3m"]: "3m" is none of 1m, 5m, 15m, 1h, 4h, 1d',
    ),
    (
        "[exchanges.binance]\nbook_depth = 100",
        "exchanges.binance.book_depth = 100: binance lets nobody choose; the key is for ",
    ),
    (
        "[exchanges.kraken]\nbook_depth = 50",
        "exchanges.kraken.book_depth = 50: must be one of 10, 25, 100, 500, 1000",
    ),
    ("[exchanges.kraken]\nbook_depth = 100.0", "exchanges.kraken.book_depth = 100.0: must be one of 10,"),
    (
        "[exchanges.kraken]\nbook_depth = 10",
        "exchanges.kraken.book_depth = 10: must be at least feeds.depth, which is 25",
    ),
    (
        '[exchanges.binance]\nws_url = "http://x"',
        'exchanges.binance.ws_url = "http://x": must be an address like wss://host:port/path',
    ),
    (
        '[exchanges.binance]\nrest_url = "https://user:pw@x"',
        'rest_url = "https://user:pw@x": must be an address like https://host:port/path',
    ),
    ('[exchanges.binance]\nrest_url = "https://x:port"', "must be an address like https://host:port/path"),
    ('[exchanges.binance]\nrest_url = "https://x/?a=1"', "must be an address like https://host:port/path"),
    ('[exchanges.binance]\nrest_url = "https://"', "must be an address like https://host:port/path"),
    ("[exchanges.binance]\nws_url = 9100", "exchanges.binance.ws_url = 9100: must be an address like wss://"),
    (
        '[exchanges.bitstamp]\nws_api_url = "wss://x"',
        'exchanges.bitstamp.ws_api_url = "wss://x": there is no such address of bitstamp',
    ),
    (
        '[exchanges.binance.usdm]\nws_api_url = "wss://x"',
        'exchanges.binance.usdm.ws_api_url = "wss://x": there is no such address of binance.usdm',
    ),
    ("[exchanges.binance.usdm]\nstale_s = 5", "exchanges.binance.usdm.stale_s = 5: no such key; allowed are ws_url,"),
    ("[exchanges.binance]\nusdm = 5", "exchanges.binance.usdm = 5: must be a table, [exchanges.binance.usdm]"),
    ("[exchanges.binance]\n[accounts.main]", "accounts.main.exchange: is missing; must be one of binance"),
    (
        '[exchanges.binance]\n[accounts.main]\nexchange = "kraken"',
        'accounts.main.exchange = "kraken": must be one of binance',
    ),
    (
        '[exchanges.binance]\n[accounts."my key"]\nexchange = "binance"',
        "accounts.my key: an account's name has letters",
    ),
    (
        '[exchanges.binance]\n[accounts.main]\nexchange = "binance"\n[accounts.MAIN]\nexchange = "binance"',
        "accounts.MAIN: another account has the same environment variables",
    ),
    (
        '[exchanges.binance]\n[accounts.main]\nexchange = "binance"\ndead_man_s = 60',
        "accounts.main.dead_man_s = 60: is about orders: it needs trading = true",
    ),
    (
        '[exchanges.okx]\n[accounts.main]\nexchange = "okx"\ntrading = true\ndead_man_s = 121',
        "accounts.main.dead_man_s = 121: must be 0 or, at okx, from 10 to 120 seconds",
    ),
    (
        '[exchanges.binance]\n[accounts.main]\nexchange = "binance"\ntrading = true\ndead_man_s = 9',
        "accounts.main.dead_man_s = 9: must be 0 or, at binance, from 30 to 3600 seconds",
    ),
    (
        '[exchanges.bybit]\n[accounts.main]\nexchange = "bybit"\ntrading = true\ndead_man_s = 60',
        "accounts.main.dead_man_s = 60: must be 0: bybit has no such switch",
    ),
    (
        '[exchanges.binance]\n[accounts.main]\nexchange = "binance"\npoll_s = 0',
        "accounts.main.poll_s = 0: must be a number of seconds from 1 to 3600",
    ),
    (
        '[exchanges.binance]\nproducts = ["spot"]\n[accounts.main]\nexchange = "binance"\nproducts = ["usdm"]',
        '"usdm" is none of spot',
    ),
    (
        '[exchanges.binance]\n[accounts.main]\nexchange = "binance"\nsymbols = ["BTC"]',
        '"BTC" must be a unified symbol',
    ),
]


@pytest.mark.parametrize(("text", "sentence"), WRONG)
def test_what_is_wrong_is_named(folder: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        load(folder, text)
    assert str(wrong.value).startswith("spreadboard.toml: ")
    assert sentence in str(wrong.value)
    assert "\n" not in str(wrong.value)
    assert wrong.value.verdict is Verdict.FATAL


def test_a_file_that_is_not_there(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file or directory"):
        load_config(folder / "none.toml", {})
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_config(folder, {})


def test_a_file_that_is_no_text(folder: Path) -> None:
    path = folder / "spreadboard.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is not valid TOML"):
        load_config(path, {})


# Options of an adapter


def test_options_are_the_adapter_s_own(folder: Path) -> None:
    text = '[exchanges.lmex.options]\nspot_api = "v3.2"\nfutures_trade_topics = ["a:{market}", "b:{market}"]'
    loaded = load(folder, text).exchanges["lmex"]
    assert loaded.options == {"spot_api": "v3.2", "futures_trade_topics": ("a:{market}", "b:{market}")}
    assert loaded.products == ("spot", "futures")


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('spot_apis = "v3.2"', r"lmex\.options\.spot_apis.*no such key; did you mean spot_api"),
        ('spot_api = "3.2"', r"lmex\.options\.spot_api = \"3\.2\": .*no version"),
        ("ping = 5", r"lmex\.options\.ping = 5: must be a text"),
        ("spot_trade_topics = []", r"spot_trade_topics = \[\]: must be a list of texts with at least one"),
        ('book_topic = "update"', r"book_topic = \"update\": .*needs \{market\} in it"),
    ],
)
def test_wrong_options(folder: Path, line: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        load(folder, f"[exchanges.lmex.options]\n{line}")


def test_an_exchange_without_options_takes_none(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"exchanges\.binance\.options"):
        load(folder, '[exchanges.binance.options]\nping = "x"')


# Keys of market data

KEY = {"SPREADBOARD_ALPACA_KEY": "PKTESTKEY0000000001 ", "SPREADBOARD_ALPACA_SECRET": "never to be seen 0000001"}


def test_a_key_of_market_data_comes_from_the_environment(folder: Path) -> None:
    loaded = load(folder, '[exchanges.alpaca]\npinned = ["BTC/USD", "LTC.US/USD"]', KEY)
    credentials = loaded.exchanges["alpaca"].credentials
    assert credentials is not None
    assert (credentials.key, credentials.secret) == ("PKTESTKEY0000000001", "never to be seen 0000001")
    assert "never to be seen" not in repr(loaded) and "TESTKEY" not in repr(loaded)


@pytest.mark.parametrize("variable", sorted(KEY))
def test_a_missing_key_of_market_data_stops_the_start(folder: Path, variable: str) -> None:
    with pytest.raises(ConfigError, match=rf"exchanges\.alpaca: .* environment variable {variable} is not set"):
        load(folder, "[exchanges.alpaca]", {**KEY, variable: " "})


def test_an_exchange_that_is_off_needs_no_key(folder: Path) -> None:
    assert set(load(folder, "[exchanges.kraken]\n[exchanges.alpaca]\nenabled = false").exchanges) == {"kraken"}


def test_a_key_in_the_file_is_refused_and_not_shown(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"set the environment variable SPREADBOARD_ALPACA_SECRET") as caught:
        load(folder, '[exchanges.alpaca]\nsecret = "hush"', KEY)
    assert "hush" not in str(caught.value)


def test_addresses_of_the_trading_api(folder: Path) -> None:
    loaded = load(folder, '[exchanges.alpaca]\ntrading_url = "https://paper-api.alpaca.markets"', KEY)
    url = "https://paper-api.alpaca.markets"
    assert loaded.exchanges["alpaca"].endpoints == {"crypto.trading": url, "stocks.trading": url}
    with pytest.raises(ConfigError, match="there is no such address of kraken"):
        load(folder, '[exchanges.kraken]\ntrading_url = "https://x"')


def test_a_stock_is_no_derivative(folder: Path) -> None:
    with pytest.raises(ConfigError, match="is a derivative"):
        load(folder, '[exchanges.alpaca]\npinned = ["BTC/USD:USD"]', KEY)


# The example


def test_the_example_is_valid() -> None:
    loaded = load_config(EXAMPLE, {})
    assert set(loaded.exchanges) == {"binance", "kraken"}
    defaults = Config(path=None, exchanges={})
    assert (loaded.depth, loaded.conflation_ms, loaded.linger_s) == (25, 50, defaults.linger_s)


def uncommented() -> str:
    """The example with every default switched on."""
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    return "\n".join(re.sub(r"^# (?=\[|[a-z_]+ = )", "", line) for line in lines)


def test_the_example_shows_every_key(folder: Path) -> None:
    example = tomllib.loads(uncommented())
    assert set(example["feeds"]) == set(config._FEEDS_KEYS)
    shown = set().union(*example["exchanges"].values())
    assert shown == {*config._EXCHANGE_KEYS, *config.CCXT_KEYS, "usdm", "stocks", "unified", "options"}
    assert set(example["accounts"]["main"]) == set(ACCOUNT_KEYS)


def test_the_example_s_defaults_are_the_defaults(folder: Path) -> None:
    loaded, plain = load(folder, uncommented(), KEY), load_config(EXAMPLE, {})
    assert loaded.state_dir == folder / "state"
    for name in ("depth", "conflation_ms", "linger_s", "save_s"):
        assert getattr(loaded, name) == getattr(plain, name)
    for name, exchange in plain.exchanges.items():
        for field in ("enabled", "simulated", "products", "candles", "stale_s", "reconnect_s", "buffer_frames"):
            assert getattr(loaded.exchanges[name], field) == getattr(exchange, field), field
        for field in ("budget_share", "renew_at", "poll_s", "poll_after_s", "poll_attempts", "alarm_factor", "alarm_s"):
            assert getattr(loaded.exchanges[name], field) == getattr(exchange, field), field
    assert loaded.accounts == (
        AccountConfig(name="main", exchange="binance", label="Main", products=("spot", "usdm"), poll_s=5.0),
    )


def test_the_example_shows_every_option_of_an_adapter_with_its_default() -> None:
    example = tomllib.loads(uncommented())
    for name, factory in exchanges.REGISTRY.items():
        options = exchanges.create(name).facts.options
        shown = example["exchanges"].get(name, {}).get("options", {})
        assert set(shown) == set(options), name
        parameters = inspect.signature(factory).parameters
        for key in set(options) - {"origin"}:
            value = tuple(shown[key]) if isinstance(shown[key], list) else shown[key]
            assert value == parameters[key].default, key


def test_tables_of_facts_name_exchanges_that_exist() -> None:
    assert set(config.WS_API_PATHS) <= set(exchanges.REGISTRY)
    assert set(accounts.REGISTRY) <= set(exchanges.REGISTRY)
