"""How recordings of others call exchanges and products, and which product a frame is of."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.exchange import TellsProduct
from feeds.exchanges import REGISTRY, create, recorded_as
from feeds.recordings.products import Products
from feeds.recordings.recording import Recording, RecordingError
from feeds.recordings.verify import verify
from tests.feeds import alpaca_frames, lmex_frames


@pytest.mark.parametrize(
    ("venue", "name"),
    [
        *((name, name) for name in REGISTRY),
        *((name.upper(), name) for name in REGISTRY),
        ("kraken-futures", "krakenfutures"),
        ("kraken_futures", "krakenfutures"),
        ("Kraken Futures", "krakenfutures"),
        ("KRAKEN_FUTURES", "krakenfutures"),
        ("cryptofacilities", "krakenfutures"),
        ("kraken-spot", "kraken"),
        ("KRAKEN.v2", "kraken"),
        ("binance-usdm", "binance"),
        ("binance-futures", "binance"),
        ("BINANCE_SPOT", "binance"),
        ("bybit linear", "bybit"),
        ("okex", "okx"),
        ("okx-v5", "okx"),
        ("okex-swap", "okx"),
        ("Coinbase Advanced Trade", "coinbase"),
        ("coinbase-advanced", "coinbase"),
        ("BTSE", "lmex"),
        ("alpaca v1beta3 crypto", "alpaca"),
        ("nowhere", None),
        ("", None),
        ("binance-us", None),  # another exchange
        ("binance-delivery", None),  # another product
        ("bybit inverse", None),
        ("coinbase-exchange", None),  # another protocol
        ("krakenfutureschat", None),
    ],
)
def test_an_exchange_is_known_however_it_is_written(venue: str, name: str | None) -> None:
    assert recorded_as(venue) == name


def test_no_other_name_is_an_exchange_s_own() -> None:
    others = [alias for name in REGISTRY for alias in create(name).facts.recorded_as]
    assert len(others) == len(set(others))
    assert not set(others) & set(REGISTRY)
    for name in REGISTRY:
        adapter = create(name)
        assert set(adapter.facts.recorded_products.values()) <= set(adapter.products)


def recording(folder: Path, venue: str, product: str | None, *frames: str, conn: str = "1") -> Path:
    path = folder / "file.jsonl"
    lines = [json.dumps({"capture": 1, "venue": venue, "product": product})]
    lines += [json.dumps({"t": n, "via": "ws", "conn": conn, "raw": raw}) for n, raw in enumerate(frames)]
    path.write_text("\n".join(lines) + "\n")
    return path


def products(path: Path) -> tuple[str, ...]:
    taken = Recording(path)
    name = recorded_as(taken.venue)
    assert name is not None
    return Products(taken, create(name)).all()


def ticker(**more: Any) -> str:
    return json.dumps({"topic": "tickers.BTCUSDT", "type": "delta", "ts": 1, "data": {"symbol": "BTCUSDT", **more}})


def trades(symbol: str = "BTCUSDT", **more: Any) -> str:
    row = {"T": 1, "s": symbol, "S": "Buy", "v": "1", "p": "5", "i": "1", "BT": False, **more}
    return json.dumps({"topic": f"publicTrade.{symbol}", "type": "snapshot", "ts": 1, "data": [row]})


DEPTH = {"e": "depthUpdate", "E": 1, "s": "BTCUSDT", "U": 1, "u": 2, "b": [], "a": []}
BEST = {"u": 400900217, "s": "BNBUSDT", "b": "25.35", "B": "31.21", "a": "25.36", "A": "40.66"}
PRINT = {"e": "aggTrade", "E": 1, "s": "BTCUSDT", "a": 1, "p": "5", "q": "1", "f": 1, "l": 1, "T": 1, "m": True}


class TestProductsByFrames:
    @pytest.mark.parametrize(
        ("exchange", "frame", "product"),
        [
            ("binance", json.dumps(DEPTH), "spot"),
            ("binance", json.dumps({"stream": "x@depth", "data": DEPTH}), "spot"),
            ("binance", json.dumps({"stream": "x@depth", "data": {**DEPTH, "pu": 0}}), "usdm"),
            ("binance", json.dumps({**DEPTH, "pu": 0, "s": "BTCUSD_PERP"}), None),  # COIN-M
            ("binance", json.dumps({**DEPTH, "pu": 0, "st": 2}), None),
            ("binance", json.dumps({**DEPTH, "pu": 0, "s": "BTCUSDT_260327"}), "usdm"),
            ("binance", json.dumps({"stream": "x@bookTicker", "data": BEST}), "spot"),
            ("binance", json.dumps({"e": "bookTicker", **BEST}), "usdm"),
            ("binance", json.dumps({**PRINT, "M": True}), "spot"),
            ("binance", json.dumps(PRINT), "usdm"),
            ("binance", json.dumps({"e": "markPriceUpdate", "s": "BTCUSDT", "p": "5"}), "usdm"),
            (
                "binance",
                json.dumps({"stream": "x@depth5", "data": {"lastUpdateId": 1, "bids": [], "asks": []}}),
                "spot",
            ),
            ("binance", json.dumps({"e": "kline", "s": "BTCUSDT", "k": {}}), None),
            ("binance", '{"result":null,"id":1}', None),
            ("bybit", ticker(bid1Price="5"), "linear"),
            ("bybit", ticker(markPrice="5"), "linear"),
            ("bybit", ticker(usdIndexPrice="5"), "spot"),
            ("bybit", ticker(lastPrice="5"), None),
            ("bybit", trades(L="PlusTick"), "linear"),
            ("bybit", trades(), "spot"),
            ("bybit", trades("BTCUSD", L="PlusTick"), None),  # inverse
            ("bybit", trades("BTCUSDM26", L="PlusTick"), None),
            ("bybit", trades("BTCPERP"), "linear"),
            ("bybit", trades("BTC-26DEC25"), "linear"),
            ("bybit", trades("BTC-26DEC25-80000-C"), None),  # an option
            ("bybit", '{"success":true,"ret_msg":"subscribe","req_id":"1","op":"subscribe"}', "spot"),
            ("bybit", '{"success":true,"ret_msg":"","req_id":"1","op":"subscribe"}', None),
            ("bybit", '{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":1,"data":{}}', None),
            ("lmex", lmex_frames.SNAPSHOT, "futures"),
            ("lmex", lmex_frames.SNAPSHOT.replace("BTC-PERP", "BTC-USD"), "spot"),
            ("lmex", lmex_frames.SNAPSHOT.replace("BTC-PERP", "ETHPFC"), "futures"),
            ("lmex", lmex_frames.SNAPSHOT.replace("BTC-PERP", "BTC-260626"), "futures"),
            ("lmex", '{"event":"pong"}', None),
            ("alpaca", '[{"T":"t","S":"BTC/USD","p":1,"s":1}]', "crypto"),
            ("alpaca", '[{"T":"q","S":"BRK.B"}]', "stocks"),
            ("alpaca", '[{"T":"success","msg":"connected"}]', None),
        ],
    )
    def test_what_a_frame_tells(self, exchange: str, frame: str, product: str | None) -> None:
        adapter = create(exchange)
        assert isinstance(adapter, TellsProduct)
        assert adapter.product_in(frame.encode()) == product

    @given(raw=st.binary(max_size=60) | st.sampled_from([b"[]", b"{}", b"null", b'{"topic":"tickers.A","data":7}']))
    def test_never_raises(self, raw: bytes) -> None:
        for name in REGISTRY:
            adapter = create(name)
            if isinstance(adapter, TellsProduct):
                assert adapter.product_in(raw) in (None, *adapter.products)

    def test_every_exchange_of_separate_products_can_tell(self) -> None:
        for name in REGISTRY:
            adapter = create(name)
            if len(adapter.products) > 1 and not adapter.facts.products_mixed:
                assert isinstance(adapter, TellsProduct), name


class TestProductsOfRecordings:
    @pytest.mark.parametrize("product", ["v1beta3 us", "crypto us", "v1beta3/crypto/us", "Crypto", None, "real time"])
    def test_alpaca_s_crypto(self, tmp_path: Path, product: str | None) -> None:
        path = recording(tmp_path, "alpaca", product, alpaca_frames.WHOLE_BOOK)
        assert products(path) == ("crypto",)
        report = verify(path)
        assert (report.product, report.snapshots, report.ok) == ("crypto", 1, True)

    @pytest.mark.parametrize(
        ("venue", "product", "wanted"),
        [
            ("binance-futures", None, "usdm"),
            ("binance", "USD-M futures", "usdm"),
            ("binance-usdm", "perpetual books", "usdm"),
            ("bybit", "v5 perpetual", "linear"),
            ("bybit-spot", "books of 50 levels", "spot"),
            ("lmex", "perp", "futures"),
            ("alpaca", "v2 iex", "stocks"),
        ],
    )
    def test_words(self, tmp_path: Path, venue: str, product: str | None, wanted: str) -> None:
        assert products(recording(tmp_path, venue, product, "{}")) == (wanted,)

    def test_addresses(self, tmp_path: Path) -> None:
        address = "wss://fstream.binance.com/stream"
        assert products(recording(tmp_path, "binance", None, "{}", conn=address)) == ("usdm",)

    def test_each_connection_by_its_own_frames(self, tmp_path: Path) -> None:
        path = recording(tmp_path, "bybit", "spot and linear", ticker(lastPrice="5"), ticker(markPrice="5"))
        with path.open("a") as file:
            file.write(json.dumps({"t": 9, "via": "ws", "conn": "2", "raw": trades()}) + "\n")
        assert products(path) == ("linear", "spot")

    def test_nothing_tells(self, tmp_path: Path) -> None:
        path = recording(tmp_path, "bybit", None, '{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":1,"data":{}}')
        with pytest.raises(RecordingError, match="connection '1' names none"):
            products(path)

    def test_instruments_of_alpaca_are_read(self, tmp_path: Path) -> None:
        path = recording(tmp_path, "alpaca", "crypto", alpaca_frames.WHOLE_BOOK)
        asset = {"class": "crypto", "symbol": "BTC/USD", "price_increment": "0.01", "min_trade_increment": "0.0001"}
        where = "/v2/assets?asset_class=crypto&status=active"
        line = {"t": 0, "via": "rest", "conn": "rest", "raw": json.dumps([asset]), "path": where}
        with path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        report = verify(path)
        assert (report.rest_answers, report.not_understood, report.ok) == (1, 0, True)
