"""Searching a process's memory, files and texts for something that must not be there.

A secret can lie in memory as Python keeps it (one, two or four bytes a character), or encoded on its way somewhere.
Only its middle is looked for, so that a part of it is found too.
"""

import base64
import gzip
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

CHUNK = 16 * 1024 * 1024
MIDDLE = 24


class Secret:
    """A text to look for, in all the forms that it may take."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        start = max(0, (len(text) - MIDDLE) // 2)
        middle = text[start : start + MIDDLE]
        raw = middle.encode()
        self.forms: dict[str, bytes] = {
            "text": raw,
            "two bytes a character": middle.encode("utf-16-le"),
            "four bytes a character": middle.encode("utf-32-le"),
            "hex": raw.hex().encode(),
        }
        for shift in range(3):  # base64 of something that holds it: depends on how many bytes come before
            coded = base64.b64encode(b"\0" * shift + raw)
            self.forms[f"base64 {shift}"] = coded[4 if shift else 0 : len(coded) - 4]
        self.longest = max(map(len, self.forms.values()))

    @classmethod
    def whole(cls, name: str, text: str) -> "Secret":
        """All of it, and only as it is."""
        secret = cls(name, text)
        secret.forms = {"text": text.encode()}
        secret.longest = len(text)
        return secret

    @classmethod
    def of_bytes(cls, name: str, raw: bytes) -> "Secret":
        """Bytes, as they are, as digits, and as base64 of something that holds them."""
        secret = cls(name, "")
        secret.forms = {"bytes": raw, "hex": raw.hex().encode(), "number": str(int.from_bytes(raw, "big")).encode()}
        for shift in range(3):
            coded = base64.b64encode(b"\0" * shift + raw)
            secret.forms[f"base64 {shift}"] = coded[4 if shift else 0 : len(coded) - 4]
        secret.longest = max(map(len, secret.forms.values()))
        return secret

    def found_in(self, data: bytes) -> list[str]:
        """The forms in which it is there."""
        return [f"{self.name} as {form}" for form, needle in self.forms.items() if needle in data]


def search(data: bytes, secrets: Iterable[Secret]) -> list[str]:
    return [hit for secret in secrets for hit in secret.found_in(data)]


def search_files(folder: Path, secrets: Iterable[Secret]) -> list[str]:
    """All files below a folder."""
    secrets = list(secrets)
    return [f"{name}: {hit}" for name, content in contents(folder) for hit in search(content, secrets)]


def contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Of all files below a folder; those that are packed, unpacked."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        yield path.name, gzip.decompress(content) if path.suffix == ".gz" else content


def search_texts(texts: Mapping[str, bytes], secrets: Iterable[Secret]) -> list[str]:
    secrets = list(secrets)
    return [f"{name}: {hit}" for name, text in texts.items() for hit in search(text, secrets)]


def search_memory(pid: int, secrets: Iterable[Secret]) -> list[str]:
    """Everything that the process can read. Raises PermissionError where the kernel does not let us."""
    secrets = list(secrets)
    found: set[str] = set()
    for data in _memory(pid, max(secret.longest for secret in secrets)):
        found.update(search(data, secrets))
    return sorted(found)


def _memory(pid: int, overlap: int) -> Iterator[bytes]:
    """Readable memory in pieces that overlap, so that nothing is lost between two."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            area, rights, *_, name = [*line.split(maxsplit=5), ""][:6]
            if not rights.startswith("r") or name.strip() in ("[vvar]", "[vvar_vclock]", "[vsyscall]"):
                continue
            at, end = (int(text, 16) for text in area.split("-"))
            while at < end:
                try:
                    memory.seek(at)
                    data = memory.read(min(CHUNK, end - at))
                except OSError:  # the process has given it back meanwhile
                    break
                if not data:
                    break
                yield data
                at += len(data) if len(data) <= overlap or at + len(data) >= end else len(data) - overlap
