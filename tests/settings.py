"""The project's settings for tests: everything kept goes to a folder of this run, and nothing of the caller's
environment counts but ``SPREADBOARD_TEST_DATABASE_URL`` (SQLite if not set)."""

import atexit
import os
import secrets
import shutil
import tempfile

from dashboard.environment import VARIABLES

for _name in VARIABLES:
    os.environ.pop(_name, None)
_folder = tempfile.mkdtemp(prefix="spreadboard-test-")
atexit.register(shutil.rmtree, _folder, ignore_errors=True)
_environment = {
    "SPREADBOARD_VAR": _folder,
    "SECRET_KEY": secrets.token_urlsafe(48),
    "LOG_FORMAT": "json",
    "DATABASE_URL": os.environ.get("SPREADBOARD_TEST_DATABASE_URL", ""),
}
os.environ.update(_environment)

from dashboard.settings import *  # noqa: E402, F403 - all of them, and after what they read
from dashboard.settings import DATABASES, STORAGES  # noqa: E402 - as well

if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # A file, because SQLite's memory databases know no WAL and no waiting for locks, and threads shall share it.
    DATABASES["default"]["TEST"] = {"NAME": os.path.join(_folder, "test.sqlite3")}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # slow ones are for real passwords
# As with DEBUG: found where they are, without collecting them first.
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
SERVESTATIC_USE_FINDERS = True
SERVESTATIC_AUTOREFRESH = True
SERVESTATIC_USE_MANIFEST = False

# Processes that tests start (manage.py serve) are the real thing, in an environment that the test chooses.
for _name in _environment:
    os.environ.pop(_name)
os.environ["DJANGO_SETTINGS_MODULE"] = "dashboard.settings"
