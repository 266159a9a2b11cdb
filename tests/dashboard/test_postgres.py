"""The tests of everything that the database decides, once more on PostgreSQL."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.postgres import postgres_server

ROOT = Path(__file__).resolve().parents[2]
FILES = (
    "test_ledger.py",
    "test_store.py",
    "test_models.py",
    "test_auth.py",
    "test_passwords.py",
    "test_api.py",
    "test_api_rows.py",
    "test_api_accounts.py",
    "test_api_across.py",
)


@pytest.mark.postgres
@pytest.mark.slow
def test_the_same_on_postgresql() -> None:
    files = [str(Path(__file__).with_name(name)) for name in FILES]
    with postgres_server() as url:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files],
            env={**os.environ, "SPREADBOARD_TEST_DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.settings"},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=600,
        )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "passed" in done.stdout
