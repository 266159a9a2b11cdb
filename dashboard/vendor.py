"""Browser libraries from ``node_modules``: only the files that ``package.json`` names under ``vendor`` are served."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import BaseFinder
from django.contrib.staticfiles.utils import matches_patterns
from django.core.checks import CheckMessage, Warning
from django.core.files.storage import FileSystemStorage
from servestatic.storage import CompressedManifestStaticFilesStorage


class HashedModuleStorage(CompressedManifestStaticFilesStorage):
    """Names with the hash of their content, in the ``import`` lines of ES modules too."""

    support_js_module_import_aggregation = True


class VendorStorage(FileSystemStorage):
    """``node_modules`` under the names that pages use: "tweetnacl/nacl-fast.js" below the prefix "vendor"."""

    prefix = "vendor"

    def __init__(self, listing: Path, node_modules: Path) -> None:
        super().__init__(location=node_modules)
        self.files: dict[str, str] = json.loads(listing.read_text())["vendor"]

    def path(self, name: str) -> str:
        return super().path(self.files[name])


class VendorFinder(BaseFinder):
    """Finds ``vendor/<name>`` for Django's static files."""

    def __init__(self, app_names: Any = None, *args: Any, **kwargs: Any) -> None:
        self.storage = VendorStorage(settings.VENDOR_LIST, settings.NODE_MODULES)
        self.storages = {str(settings.NODE_MODULES): self.storage}
        super().__init__(*args, **kwargs)

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        missing = [name for name in self.storage.files if not Path(self.storage.path(name)).is_file()]
        if not missing:
            return []
        return [
            Warning(
                f"Browser libraries are missing in {settings.NODE_MODULES}: {', '.join(missing)}.",
                hint="Run: make setup (or: npm ci)",
                id="spreadboard.W001",
            )
        ]

    def find(self, path: str, find_all: bool = False, **kwargs: Any) -> Any:
        name = path.removeprefix(f"{self.storage.prefix}/")
        if name == path or name not in self.storage.files or not Path(self.storage.path(name)).is_file():
            return []  # not None: Django would take it for something found
        found = self.storage.path(name)
        return [found] if find_all else found

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterator[tuple[str, VendorStorage]]:
        for name in self.storage.files:
            if not matches_patterns(name, list(ignore_patterns or ())) and Path(self.storage.path(name)).is_file():
                yield name, self.storage
