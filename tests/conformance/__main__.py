"""Put adapters to the test and print the conformance table.

    python -m tests.conformance                                 every registered exchange
    python -m tests.conformance --exchange kraken --check gap   one, and one check (both may be repeated)
    python -m tests.conformance --exchange feeds.exchanges.bitstamp:Bitstamp    not registered yet: what is missing
    python -m tests.conformance --write                         and put the table into docs/exchanges.md

Exit code: 0 if nothing failed, 1 if something did, 2 if the question makes no sense.
"""

import argparse
import asyncio
import logging
import sys
from collections.abc import Sequence

import structlog

from feeds.errors import FeedError
from tests.conformance import table
from tests.conformance.check import CHECKS
from tests.conformance.run import run_all
from tests.conformance.subject import registered_subjects, subject_of


def main(arguments: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL + (given.log and -40)))
    try:
        subjects = [subject_of(text) for text in given.exchange] or registered_subjects()
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    if given.write and (given.exchange or given.check):
        print("--write is for the whole table: without --exchange and --check.", file=sys.stderr)
        return 2
    told = (lambda sentence: None) if given.quiet else (lambda sentence: print(sentence, file=sys.stderr, flush=True))
    results = asyncio.run(run_all(subjects, {subject.label: given.check for subject in subjects}, told))
    files = [] if given.check else [row for row in table.judged() if not given.exchange or row[1] in results]
    print(table.plain(results, files))
    if given.write:
        table.write(table.markdown(results, files))
        print(f"\nWritten to {table.DOCS.name}.")
    failed = any(each.verdict == "failed" for outcomes in results.values() for each in outcomes.values())
    return 1 if failed or any("**" in found for _, _, found in files) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.conformance", description=(__doc__ or "").partition("\n\n")[0]
    )
    parser.add_argument(
        "--exchange", action="append", default=[], help="a name in the table, or module:Class of an adapter; repeat it"
    )
    parser.add_argument("--check", action="append", default=[], choices=list(CHECKS), help="this one alone; repeat it")
    parser.add_argument("--write", action="store_true", help="put the table into docs/exchanges.md")
    parser.add_argument("--log", action="store_true", help="show the log of engine and simulator")
    parser.add_argument("--quiet", action="store_true", help="say nothing before the table")
    return parser


if __name__ == "__main__":
    try:
        sys.exit(main())
    except FeedError as error:
        sys.exit(str(error))
