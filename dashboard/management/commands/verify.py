"""``manage.py verify FILE``: run a recording through the adapters alone and say what was missing or wrong."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from feeds.recordings import verify


class Command(BaseCommand):
    help = (
        "Run a recording of exchange streams through the adapters and say what was missing or wrong. "
        "Exit code: 0 nothing was wrong, 1 something was, 2 the file cannot be verified."
    )
    requires_system_checks = ()  # neither settings nor the database matter here

    def add_arguments(self, parser: CommandParser) -> None:
        verify.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        code = verify.run(options["file"], as_json=options["json"], out=self.stdout.write, err=self.stderr.write)
        if code:
            sys.exit(code)
