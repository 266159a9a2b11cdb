"""The price that everybody is guessing: one latent price in USD per asset, with clustered volatility. Pure.

Three things drive the volatility that all assets share: a regime (calm, normal, busy) that lasts minutes, a slow
approach to it, and an excitement that each large move feeds and that dies away within seconds (the idea of GARCH).
Returns are a common factor and an own part, weighted by each asset's beta (1: no own part). USDT wanders a few basis
points around its dollar. Time advances in fixed steps, so the path depends on the seed alone, not on how often it is
looked at.
"""

from collections.abc import Mapping
from math import exp, sqrt
from random import Random

from feeds.simulator.instruments import Asset

STEP_MS = 50
_YEAR_S = 365 * 86_400
_DT_S = STEP_MS / 1000

# regime: (volatility as a multiple, mean life in seconds)
REGIMES = ((0.55, 150.0), (1.0, 200.0), (2.1, 45.0))
_APPROACH_S = 8.0  # how fast the volatility follows its regime
_CALM_S = 12.0  # how fast the excitement dies away
_FEED = 0.05  # how much a squared return feeds it
_JUMP_S = 75.0  # mean time between news
_USDT_SD, _USDT_S = 0.00025, 900.0


class Latent:
    """``price[asset]`` in USD, ``usdt`` in USD, ``volatility`` as a multiple of the normal one."""

    def __init__(self, seed: int, assets: Mapping[str, Asset], start_ms: int) -> None:
        self._random = Random(f"latent {seed}")
        self.now_ms = start_ms // STEP_MS * STEP_MS
        self.price = {name: asset.price for name, asset in assets.items()}
        self.usdt = 0.9994
        self.volatility = 1.0
        self._regime = 1
        self._level = 1.0
        self._excitement = 0.0
        root = sqrt(_DT_S / _YEAR_S)
        self._parts = {
            name: (asset.volatility * root * asset.beta, asset.volatility * root * sqrt(1 - asset.beta**2))
            for name, asset in assets.items()
        }

    def advance(self, now_ms: int) -> None:
        """Walk on in whole steps up to ``now_ms``."""
        while self.now_ms + STEP_MS <= now_ms:
            self._step()

    def jump_to(self, now_ms: int) -> None:
        """Leave out the time until ``now_ms`` (the process was suspended)."""
        self.now_ms = max(self.now_ms, now_ms // STEP_MS * STEP_MS)

    def _step(self) -> None:
        self.now_ms += STEP_MS
        draw = self._random
        multiple, life_s = REGIMES[self._regime]
        if draw.random() < _DT_S / life_s:
            self._regime = draw.choices((0, 1, 2), (0.3, 0.5, 0.2))[0]
        self._level += (multiple - self._level) * _DT_S / _APPROACH_S
        factor = draw.gauss(0, 1)
        if draw.random() < _DT_S / _JUMP_S:
            factor += draw.choice((-1, 1)) * draw.uniform(8, 26)
        self._excitement += _FEED * max(0.0, abs(factor) - 2.2) - self._excitement * _DT_S / _CALM_S
        self.volatility = min(6.0, self._level * (1 + self._excitement))
        for name, (common, own) in self._parts.items():
            self.price[name] *= exp(self.volatility * (common * factor + (own and own * draw.gauss(0, 1))))
        self.usdt += (0.9994 - self.usdt) * _DT_S / _USDT_S + _USDT_SD * sqrt(2 * _DT_S / _USDT_S) * draw.gauss(0, 1)
