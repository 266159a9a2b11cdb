"""10,000 fills at 200/s while the worker is killed (-9) ten times and its connections are cut ten times.

What must come out: exactly the exchange's fills in the database, none twice, every balance equal. Beside it: how many
of them came by stream first; the others were read from the exchange's history, and a client without that lacks most.
"""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.common import row
from tests.killtest.drill import drill

FILLS = 10_000
PER_S = 200.0
KILLS = CUTS = 10


def run() -> list[dict[str, Any]]:
    """Counts of fills, and the seconds until everything agreed; the drill itself fails if they do not come to."""
    with TemporaryDirectory() as folder:
        result = drill(Path(folder), fills=FILLS, per_s=PER_S, kills=KILLS, cuts=CUTS)
    print(result, file=sys.stderr)
    true = result["fills at the exchange"]
    told = result["told first by stream"]
    return [
        row("kill test: fills in the database", result["fills in the database"], "fills", "at the exchange", true),
        row("kill test: the same, beside", result["fills in the database"], "fills", "told first by stream", told),
        row("kill test: fills stored twice", result["of them twice"], "fills", "allowed", 0),
        row("kill test: figures that differ", result["figures that differ"], "figures", "allowed", 0),
        row("kill test: until all agreed", result["seconds until all agreed"], "s", "-", None),
    ]


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
