"""Deployment by environment: every variable is checked, documented, and does what it says."""

import json
import logging
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured

from dashboard import environment, logs
from dashboard import settings as spreadboard
from dashboard.environment import VARIABLES

ROOT = Path(__file__).resolve().parents[2]


def start(tmp_path: Path, expression: str = "None", **env: str) -> subprocess.CompletedProcess[str]:
    """Load the real settings in a process of their own and print an expression of them as JSON."""
    code = f"import json; from django.conf import settings as s; s.DEBUG; print(json.dumps({expression}))"
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "DJANGO_SETTINGS_MODULE": "dashboard.settings",
            "SPREADBOARD_VAR": str(tmp_path),
        }
        | env,
        capture_output=True,
        text=True,
        timeout=60,
    )


def loaded(tmp_path: Path, expression: str, **env: str) -> Any:
    done = start(tmp_path, expression, **env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# -- wrong values ----------------------------------------------------------------------------------------------------

WRONG = {
    "SECRET_KEY": ("short", "50 characters"),
    "DATABASE_URL": ("mysql://board:pass@db/board", "postgres://"),
    "REDIS_URL": ("localhost:6379", "redis://"),
    "HOST": ("not a host", "0.0.0.0"),
    "PORT": ("80000", "0 to 65535"),
    "ALLOWED_HOSTS": ("board.lan, https://x", "without port"),
    "CSRF_TRUSTED_ORIGINS": ("board.lan", "https://"),
    "HTTPS": ("maybe", "1 or 0"),
    "TRUST_PROXY": ("2", "1 or 0"),
    "HSTS_SECONDS": ("-1", "0 to"),
    "DEBUG": ("verbose", "1 or 0"),
    "LOG_FORMAT": ("yaml", "auto, json, text"),
    "LOG_LEVEL": ("LOUD", "DEBUG, INFO, WARNING, ERROR"),
    "SPREADBOARD_CONFIG": ("/nowhere/spreadboard.toml", "exists"),
    "SPREADBOARD_VAR": (__file__, "folder"),
    "SPREADBOARD_DEMO": ("yes please", "1 or 0"),
    "SPREADBOARD_REPLAY": ("/nowhere/file.jsonl.gz", "a recording that exists"),
    "SPREADBOARD_REPLAY_SPEED": ("-2", "from 0"),
}


def test_there_is_a_wrong_value_for_every_variable() -> None:
    assert set(WRONG) == set(VARIABLES)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_value_is_named_with_its_variable_and_what_is_allowed(name: str) -> None:
    value, allowed = WRONG[name]
    with pytest.raises(ImproperlyConfigured) as caught:
        VARIABLES[name].read({name: value})
    text = str(caught.value)
    assert text.startswith(f"{name}=")
    assert allowed in text
    if name not in ("SECRET_KEY", "DATABASE_URL"):
        assert value in text


@pytest.mark.parametrize("name", VARIABLES)
def test_an_empty_variable_counts_as_not_set(name: str) -> None:
    assert VARIABLES[name].read({name: "  "}) == VARIABLES[name].read({})


def test_no_error_message_holds_a_secret() -> None:
    with pytest.raises(ImproperlyConfigured) as caught:
        environment.DATABASE_URL.read({"DATABASE_URL": "mysql://board:hush-hush@db/board"})
    assert "hush-hush" not in str(caught.value)
    with pytest.raises(ImproperlyConfigured) as caught:
        environment.SECRET_KEY.read({"SECRET_KEY": "hush-hush"})
    assert "hush-hush" not in str(caught.value)


@pytest.mark.parametrize("command", ["check", "serve"])
def test_a_wrong_value_stops_the_start_with_a_sentence(tmp_path: Path, command: str) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", command],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "SPREADBOARD_VAR": str(tmp_path), "PORT": "eighty"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr == "Spreadboard cannot start. PORT='eighty': must be a whole number from 0 to 65535.\n"


def test_hsts_without_https_is_a_mistake(tmp_path: Path) -> None:
    done = start(tmp_path, HSTS_SECONDS="3600")
    assert done.returncode != 0
    assert "HSTS_SECONDS=3600: needs HTTPS=1" in done.stderr


# -- the table in docs/operations.md -----------------------------------------------------------------------------------


def test_every_variable_is_documented_with_its_default() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    table = dict(re.findall(r"^\| `([A-Z_]+)` \| ([^|]*) \|", text, re.M))
    assert set(table) == set(VARIABLES)
    for name, variable in VARIABLES.items():
        shown = table[name].strip()
        if variable.default:
            assert shown == f"`{variable.default}`", name
        else:
            assert not shown.startswith("`"), name  # words, not a value


# -- what they do ------------------------------------------------------------------------------------------------------


def test_the_secret_key_is_made_once_and_kept_from_others(tmp_path: Path) -> None:
    first, second = loaded(tmp_path, "s.SECRET_KEY"), loaded(tmp_path, "s.SECRET_KEY")
    assert first == second
    assert len(first) >= 50
    assert stat.S_IMODE((tmp_path / "secret_key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]  # no draft is left
    given = "x" * 50
    assert loaded(tmp_path, "s.SECRET_KEY", SECRET_KEY=given) == given


def test_a_damaged_secret_key_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "secret_key").write_text("cut off")
    done = start(tmp_path)
    assert done.returncode != 0
    assert "Remove it, and a new one is made" in done.stderr


def test_the_var_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    loaded(tmp_path / "deep" / "var", "None")
    assert stat.S_IMODE((tmp_path / "deep" / "var").stat().st_mode) == 0o700


def test_cookies_are_secure_where_https_is() -> None:
    assert not spreadboard.SESSION_COOKIE_SECURE  # these settings: no HTTPS
    assert spreadboard.SESSION_COOKIE_HTTPONLY
    assert spreadboard.CSRF_COOKIE_HTTPONLY
    assert spreadboard.SESSION_COOKIE_SAMESITE == "Lax"


def test_https_and_a_proxy(tmp_path: Path) -> None:
    names = "[s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE, s.SECURE_HSTS_SECONDS, s.SECURE_PROXY_SSL_HEADER]"
    got = loaded(tmp_path, names, HTTPS="1", TRUST_PROXY="1", HSTS_SECONDS="31536000")
    assert got == [True, True, 31_536_000, ["HTTP_X_FORWARDED_PROTO", "https"]]
    assert loaded(tmp_path, "s.SECURE_PROXY_SSL_HEADER") is None  # a header that anybody can send is not believed


@pytest.mark.parametrize(
    ("given", "host", "allowed"),
    [
        ([], "127.0.0.1", {"127.0.0.1", "[::1]", "localhost"}),
        ([], "192.168.1.5", {"127.0.0.1", "[::1]", "localhost", "192.168.1.5"}),
        ([], "::1", {"127.0.0.1", "[::1]", "localhost"}),
        (["board.lan"], "0.0.0.0", {"board.lan"}),
    ],
)
def test_allowed_hosts(given: list[str], host: str, allowed: set[str]) -> None:
    assert set(spreadboard.allowed_hosts(given, host)) == allowed


def test_listening_everywhere_allows_the_names_of_this_machine_and_not_all() -> None:
    names = spreadboard.allowed_hosts([], "0.0.0.0")
    assert {"localhost", "127.0.0.1"} < set(names)
    assert "*" not in names


def test_sqlite_waits_for_locks_and_does_not_block_readers(db: None) -> None:
    entry = spreadboard.database("", Path("/var/lib/board"))
    assert entry["NAME"] == "/var/lib/board/db.sqlite3"
    assert entry["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    from django.db import connection

    with connection.cursor() as cursor:
        if connection.vendor != "sqlite":
            pytest.skip("another database")
        cursor.execute("PRAGMA journal_mode")
        assert cursor.fetchone() == ("wal",)
        cursor.execute("PRAGMA busy_timeout")
        assert cursor.fetchone() == (20_000,)


def test_postgresql_by_address() -> None:
    entry = spreadboard.database("postgres://board:p%40ss@db.lan:5433/spreadboard", Path("/var"))
    assert entry["ENGINE"] == "django.db.backends.postgresql"
    assert (entry["USER"], entry["PASSWORD"], entry["HOST"], entry["PORT"]) == ("board", "p@ss", "db.lan", 5433)
    assert "transaction_mode" not in entry.get("OPTIONS", {})


def test_redis_makes_it_many_processes() -> None:
    layer = spreadboard.channel_layer("redis://127.0.0.1:6379/1")
    assert layer["BACKEND"] == "channels_redis.pubsub.RedisPubSubChannelLayer"
    assert layer["CONFIG"]["hosts"] == ["redis://127.0.0.1:6379/1"]
    assert spreadboard.channel_layer("")["CONFIG"]["capacity"] >= 10_000


def test_everything_needs_sign_in_by_default() -> None:
    assert "dashboard.security.LoginRequiredMiddleware" in django_settings.MIDDLEWARE


# -- logs --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    """Configure logs as a process does and give what it wrote, line by line; the tests' own come back after."""
    before = logging.getLogger().handlers[:]

    def lines(kind: str = "json") -> list[Any]:
        text = capsys.readouterr().err.splitlines()
        return [json.loads(line) for line in text] if kind == "json" else text

    yield lines
    logs.configure(django_settings.LOGGING)
    logging.getLogger().handlers[:] = before


def test_logs_are_json_lines_with_their_context(written: Any) -> None:
    logs.configure({"format": "json", "level": "INFO"})
    import structlog

    structlog.get_logger("feeds.stream").warning("stream stale", exchange="binance", market="BTC/USDT", age_ms=5100)
    logging.getLogger("django.request").error("Internal Server Error: %s", "/x/")
    one, other = written()
    assert one["event"] == "stream stale"
    assert (one["exchange"], one["market"], one["age_ms"]) == ("binance", "BTC/USDT", 5100)
    assert (one["level"], one["logger"]) == ("warning", "feeds.stream")
    assert one["timestamp"].endswith("Z")
    assert (other["event"], other["logger"]) == ("Internal Server Error: /x/", "django.request")


def test_logs_for_a_person_are_text(written: Any) -> None:
    logs.configure({"format": "text", "level": "INFO"})
    import structlog

    structlog.get_logger("feeds.stream").info("connected", exchange="kraken")
    [line] = written("text")
    assert "connected" in line and "exchange=kraken" in line


SECRET = "tH1sIsTheSecretOfAnExchangeKey00"


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        ("asked", {"url": f"https://api/x?symbol=BTCUSDT&signature={SECRET}&recvWindow=5"}),
        ("asked", {"headers": {"X-MBX-APIKEY": SECRET, "Content-Type": "x"}}),
        ("asked", {"headers": [("X-MBX-APIKEY", "x")], "secret": SECRET}),
        ("asked", {"body": f'{{"apiKey": "{SECRET}", "side": "BUY"}}'.encode()}),
        (f"GET /signin/12-{SECRET}/ 200", {}),
        ("refused", {"authorization": f"Bearer {SECRET}"}),
        (f"Authorization: Bearer {SECRET}", {}),
        ("renewed", {"listenKey": SECRET}),
        (f'renewed {{"listenKey": "{SECRET}"}}', {}),
        ("database", {"url": f"postgres://board:{SECRET}@db/x"}),
        (f"an unknown form: <{SECRET}>", {}),
        ("deep", {"a": [{"b": (f"x{SECRET}y",)}]}),
    ],
)
def test_no_secret_gets_into_a_log(written: Any, event: str, fields: dict[str, Any]) -> None:
    logs.configure({"format": "json", "level": "INFO"})
    logs.hide(SECRET)
    import structlog

    structlog.get_logger("x").info(event, **fields)
    logging.getLogger("y").info("%s %s", event, fields)
    try:
        raise ValueError(f"{event} {fields}")
    except ValueError:
        structlog.get_logger("x").exception("failed")
        logging.getLogger("y").exception("failed")
    lines = written()
    assert len(lines) == 4
    assert SECRET not in json.dumps(lines)
    assert logs.HIDDEN in json.dumps(lines)


@pytest.mark.parametrize(
    "text",
    [
        f"https://api/x?timestamp=1&signature={SECRET}",
        f"wss://x/ws/{SECRET}?listenKey={SECRET}".replace(f"/{SECRET}?", "/?"),
        f"{{'X-MBX-APIKEY': '{SECRET}'}}",
        f'{{"secret": "{SECRET}"}}',
        f"passphrase={SECRET}",
        f"/signin/3-{SECRET}/",
        f"Bearer {SECRET}",
        f"redis://:{SECRET}@host/0",
    ],
)
def test_secrets_are_recognised_by_their_form_alone(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_known", set())
    assert SECRET not in logs.scrub(text)


@pytest.mark.parametrize(
    "text",
    ["book:binance:BTC/USDT", "https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=5000", "asks 12, bids=13"],
)
def test_what_is_no_secret_stays_readable(text: str) -> None:
    assert logs.scrub(text) == text


# -- docs/dependencies.md ----------------------------------------------------------------------------------------------


def direct(name: str) -> set[str]:
    """The packages that a requirements file names before "what these need"."""
    text = (ROOT / name).read_text().partition("# what these need")[0]
    return {match.lower() for match in re.findall(r"^([A-Za-z0-9_.-]+)(?:\[\w+\])?==", text, re.M)}


def test_every_dependency_is_documented() -> None:
    text = (ROOT / "docs" / "dependencies.md").read_text()
    tables = "\n".join(line.split("|")[1] for line in text.splitlines() if line.startswith("| `"))
    named = set(re.findall(r"`([^`]+)`", tables))
    package = json.loads((ROOT / "package.json").read_text())
    files = ("requirements.txt", "requirements-ccxt.txt", "requirements-dev.txt")
    assert named == set(package["dependencies"]).union(*map(direct, files))
