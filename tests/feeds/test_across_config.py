"""``[across]`` and ``[fees]`` of spreadboard.toml."""

import re
import tomllib
from decimal import Decimal as D
from pathlib import Path

import pytest

from feeds.across.arbitrage import Threshold
from feeds.across.fees import Fee
from feeds.across.legs import Ties
from feeds.across.settings import ACROSS_KEYS, FEE_KEYS, AcrossConfig
from feeds.config import Config, load_config
from feeds.errors import ConfigError
from tests.feeds.test_config import uncommented

BOTH = "[exchanges.binance]\n[exchanges.kraken]\n"


def load(folder: Path, text: str) -> Config:
    path = folder / "spreadboard.toml"
    path.write_text(BOTH + text, encoding="utf-8")
    return load_config(path, {})


def test_nothing_is_tied_watched_or_charged_otherwise_by_default(tmp_path: Path) -> None:
    assert load(tmp_path, "").across == AcrossConfig(ties=Ties(), watch=(), threshold=Threshold(), fees={})


def test_everything_set(tmp_path: Path) -> None:
    found = load(
        tmp_path,
        """
        [across]
        ties = [["USD", "USDT", "USDC"], ["EUR", "EURT"]]
        par = true
        watch = ["matrix@0.50:BTC/USDT", "matrix@10,maker:ETH/USDT"]
        threshold_bps = 2.5
        duration_s = 0
        [fees.binance.usdm]
        maker_bps = -0.5
        taker_bps = "5.5"
        """,
    ).across
    assert found == AcrossConfig(
        ties=Ties(groups=(("USD", "USDT", "USDC"), ("EUR", "EURT")), par=True),
        watch=("matrix@0.5:BTC/USDT", "matrix@10,maker:ETH/USDT"),
        threshold=Threshold(bps=D("2.5"), duration_s=0.0, source="file"),
        fees={("binance", "usdm"): Fee(maker_bps=D("-0.5"), taker_bps=D("5.5"), source="file")},
    )
    assert found.ties.tied("USD", "USDC")
    assert not found.ties.tied("USD", "EUR")
    assert not found.ties.tied("USD", "USD")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[across]\nties = [["USD"]]', 'across.ties = [["USD"]]: must be lists of two or more currencies'),
        ('[across]\nties = "USD"', 'across.ties = "USD": must be lists'),
        ('[across]\nties = [["USD", "USDT"], ["USDT", "EUR"]]', '"USDT" is listed twice'),
        ("[across]\npar = 1", "across.par = 1: must be true or false"),
        ('[across]\nwatch = ["book:binance:BTC/USDT"]', "must be a matrix topic, like matrix@0.5:BTC/USDT"),
        ('[across]\nwatch = ["matrix@0:BTC/USDT"]', "the size is a positive decimal number"),
        ("[across]\nthreshold_bps = 10001", "must be a number from -1000 to 10000 with at most 4 decimals"),
        ("[across]\nthreshold_bps = true", "across.threshold_bps = true: must be a number"),
        ("[across]\nduration_s = -1", "across.duration_s = -1: must be a number of seconds from 0 to 3600"),
        ("[across]\ntie = []", "across.tie = []: no such key; did you mean ties?"),
        ("[fees.okay.spot]\nmaker_bps = 1", "fees.okay: is not an enabled exchange; allowed are binance, kraken"),
        ("[fees.kraken.usdm]\nmaker_bps = 1", "fees.kraken.usdm"),
        ("[fees.kraken.spot]\nmaker_bps = 1", "fees.kraken.spot.taker_bps: is missing"),
        ("[fees.kraken.spot]\nmaker_bps = 1\ntaker_bps = 0.00001", "fees.kraken.spot.taker_bps = 1e-05: must be"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        load(tmp_path, text)


def test_the_example_shows_every_key_with_its_default(tmp_path: Path) -> None:
    example = tomllib.loads(uncommented())
    assert set(example["across"]) == set(ACROSS_KEYS)
    assert set(example["fees"]["kraken"]["spot"]) == set(FEE_KEYS)
    shown = load(tmp_path, re.sub(r"(?s)^.*?(?=\[across\])", "", uncommented())).across
    assert shown.threshold == Threshold(source="file")
    assert (shown.ties, shown.watch) == (Ties(), ())
    assert shown.fees["kraken", "spot"].taker_bps == 40
