#!/usr/bin/env python
"""Command line of Spreadboard: ``serve``, ``runfeeds``, ``verify`` and Django's own commands."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:  # a wrong environment: a sentence says more than a traceback
        sys.exit(f"Spreadboard cannot start. {error}")


if __name__ == "__main__":
    main()
