"""Exchange keys at rest: sealed with a public key, opened only by the worker, which alone has the private half.

A sealed box is libsodium's ``crypto_box_seal`` (X25519, XSalsa20-Poly1305), as base64 text. Browsers make the same
with JavaScript, see docs/protocol.md section 4. Inside is JSON: ``{"key": "...", "secret": "...", "passphrase": ""}``.

The private key is a file of its own, base64 text of 32 bytes, readable by its owner alone. It is worth as much as all
keys that were sealed for it; who loses it must enter them again.
"""

import base64
import binascii
import contextlib
import hashlib
import os
import secrets
import stat
from pathlib import Path

import msgspec
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

from feeds.account import Credentials
from feeds.errors import ConfigError, FeedError, Verdict

MAX_SEALED = 16_384
"""Characters of a sealed box: keys are far shorter (an RSA key in PEM form is about 3,300)."""


class SealError(FeedError):
    """A sealed key cannot be opened, or is not one. No text of it ever holds what is inside."""

    verdict = Verdict.FATAL
    sentence = "The stored key cannot be opened here. Remove the account and enter its key again."


class _Inside(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: str
    secret: str
    passphrase: str = ""


class KeyPair:
    """The worker's key pair. ``repr`` shows the public side only."""

    def __init__(self, private: PrivateKey) -> None:
        self._box = SealedBox(private)
        self.public_key = base64.b64encode(bytes(private.public_key)).decode()
        """For those who seal: base64 of the 32 bytes."""
        self.key_id = key_id(self.public_key)

    def __repr__(self) -> str:
        return f"KeyPair({self.key_id})"

    @classmethod
    def load_or_create(cls, path: Path) -> "KeyPair":
        """The pair whose private half is in ``path``; made on first use.

        Raises ConfigError if the file is readable by others, not a key, or cannot be read or made.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                _create(path, base64.b64encode(bytes(PrivateKey.generate())) + b"\n")
            return cls(_load(path))
        except OSError as error:
            raise ConfigError(f"{path}: the private key file cannot be used: {error.strerror}") from error

    def open(self, sealed: str) -> Credentials:
        """What was sealed for this pair; raises SealError."""
        try:
            raw = self._box.decrypt(base64.b64decode(sealed, validate=True))
        except (CryptoError, binascii.Error, ValueError):
            raise SealError(f"not a box that was sealed for key {self.key_id}") from None
        try:
            inside = msgspec.json.decode(raw, type=_Inside)
        except (msgspec.MsgspecError, ValueError):
            raise SealError('the box does not hold {"key", "secret", "passphrase"}') from None  # no cause: it may quote
        if not inside.key or not inside.secret:
            raise SealError("the box holds an empty key or secret")
        return Credentials(inside.key, inside.secret, inside.passphrase)


def key_id(public_key: str) -> str:
    """A short name of a public key, to see whether a box was sealed for the present one."""
    return hashlib.sha256(base64.b64decode(public_key)).hexdigest()[:16]


def seal(public_key: str, credentials: Credentials) -> str:
    """``credentials`` as only the holder of the private half can read them; raises SealError for a wrong public key."""
    try:
        box = SealedBox(PublicKey(base64.b64decode(public_key, validate=True)))
    except (CryptoError, binascii.Error, ValueError):
        raise SealError("the public key is not base64 of 32 bytes") from None
    inside = _Inside(credentials.key, credentials.secret, credentials.passphrase)
    return base64.b64encode(box.encrypt(msgspec.json.encode(inside))).decode()


def looks_sealed(sealed: str) -> bool:
    """Could this be a sealed box? All that those can check who cannot open it."""
    try:
        return len(sealed) <= MAX_SEALED and len(base64.b64decode(sealed, validate=True)) > SEAL_BYTES
    except (binascii.Error, ValueError):
        return False


SEAL_BYTES = 48
"""What a sealed box adds to its content: the sender's one-time public key and the authenticator."""


def _create(path: Path, content: bytes) -> None:
    """Write a private file that appears whole or not at all, also when several start at once: the first one wins."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # somebody else was first: theirs holds
            os.link(draft, path)
    finally:
        draft.unlink()


def _load(path: Path) -> PrivateKey:
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            raise ConfigError(f"{path}: mode {mode:04o} lets others read the private key; run: chmod 600 {path}")
        content = file.read(200)
    try:
        return PrivateKey(base64.b64decode(content.strip(), validate=True))
    except (CryptoError, binascii.Error, ValueError):
        raise ConfigError(f"{path}: not a private key (base64 of 32 bytes)") from None
