"""Exchange keys at rest: sealed for the worker alone."""

import base64
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from nacl.bindings import crypto_box_seal, crypto_box_seal_open
from nacl.public import PrivateKey

from feeds.account import Credentials
from feeds.errors import ConfigError, Verdict
from feeds.keys import MAX_SEALED, KeyPair, SealError, key_id, looks_sealed, seal

SECRET = Credentials("the-api-key-0123456789", "the-secret-9876543210", "the-passphrase")


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "var" / "worker.key"


@pytest.fixture
def pair(path) -> KeyPair:
    return KeyPair.load_or_create(path)


class TestFile:
    def test_is_made_once_and_private(self, path, pair):
        assert path.stat().st_mode & 0o777 == 0o600
        again = KeyPair.load_or_create(path)
        assert again.public_key == pair.public_key
        assert [entry.name for entry in path.parent.iterdir()] == [path.name]

    def test_many_starts_at_once_make_one_key(self, path):
        path.parent.mkdir()
        begin = threading.Barrier(16)

        def create(_: int) -> str:
            begin.wait()
            return KeyPair.load_or_create(path).public_key

        with ThreadPoolExecutor(16) as pool:
            assert len(set(pool.map(create, range(16)))) == 1
        assert [entry.name for entry in path.parent.iterdir()] == [path.name]

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620])
    def test_refuses_a_file_that_others_may_use(self, path, pair, mode):
        path.chmod(mode)
        with pytest.raises(ConfigError, match=f"mode {mode:04o} .* chmod 600"):
            KeyPair.load_or_create(path)

    @pytest.mark.parametrize("content", [b"", b"not base64!", base64.b64encode(b"short"), b"\xff" * 100])
    def test_refuses_what_is_no_key_without_quoting_it(self, path, pair, content):
        path.write_bytes(content)
        with pytest.raises(ConfigError) as caught:
            KeyPair.load_or_create(path)
        assert str(caught.value) == f"{path}: not a private key (base64 of 32 bytes)"

    def test_names_a_place_where_nothing_can_be_written(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(ConfigError, match="cannot be used"):
            KeyPair.load_or_create(tmp_path / "file" / "worker.key")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_names_a_file_that_cannot_be_read(self, path, pair):
        path.chmod(0)
        with pytest.raises(ConfigError, match="cannot be used"):
            KeyPair.load_or_create(path)


class TestSeal:
    def test_round_trip(self, pair):
        assert pair.open(seal(pair.public_key, SECRET)) == SECRET

    def test_nobody_sees_what_is_inside(self, pair):
        sealed = seal(pair.public_key, SECRET)
        assert sealed != seal(pair.public_key, SECRET)
        assert SECRET.secret.encode() not in base64.b64decode(sealed)

    def test_is_libsodiums_sealed_box(self, path, pair):
        """docs/protocol.md section 4: what browsers make with JavaScript, by libsodium itself."""
        inside = json.dumps({"key": "k" * 20, "secret": "s", "passphrase": ""}).encode()
        public = base64.b64decode(pair.public_key)
        assert pair.open(base64.b64encode(crypto_box_seal(inside, public)).decode()) == Credentials("k" * 20, "s")
        private = PrivateKey(base64.b64decode(path.read_bytes()))
        raw = base64.b64decode(seal(pair.public_key, SECRET))
        assert json.loads(crypto_box_seal_open(raw, public, bytes(private))) == {
            "key": SECRET.key,
            "secret": SECRET.secret,
            "passphrase": SECRET.passphrase,
        }

    def test_another_key_cannot_open_it(self, pair, tmp_path):
        other = KeyPair.load_or_create(tmp_path / "other.key")
        with pytest.raises(SealError, match=other.key_id):
            other.open(seal(pair.public_key, SECRET))

    @pytest.mark.parametrize("sealed", ["", "?", "AAAA", base64.b64encode(os.urandom(200)).decode(), "ä"])
    def test_what_is_no_box(self, pair, sealed):
        with pytest.raises(SealError):
            pair.open(sealed)

    def test_a_box_that_was_changed(self, pair):
        raw = bytearray(base64.b64decode(seal(pair.public_key, SECRET)))
        raw[-1] ^= 1
        with pytest.raises(SealError):
            pair.open(base64.b64encode(raw).decode())

    @pytest.mark.parametrize(
        "inside",
        [
            b"the-secret-9876543210",
            b'{"key": "the-secret-9876543210"}',
            b'{"key": "the-secret-9876543210", "secret": 1}',
            b'{"key": "the-secret-9876543210", "secret": ""}',
            b'{"key": "", "secret": "the-secret-9876543210"}',
            b'{"key": "a", "secret": "the-secret-9876543210", "the-secret-9876543210": 1}',
            b'{"key": "a", "secret": "the-secret-9876543210\xff"}',
        ],
    )
    def test_wrong_content_is_told_without_a_word_of_it(self, pair, inside):
        sealed = base64.b64encode(crypto_box_seal(inside, base64.b64decode(pair.public_key))).decode()
        with pytest.raises(SealError) as caught:
            pair.open(sealed)
        error = caught.value
        assert error.verdict is Verdict.FATAL
        for text in (str(error), error.sentence, repr(error), repr(error.__cause__)):
            assert "9876543210" not in text
        assert error.__context__ is None or error.__suppress_context__

    @pytest.mark.parametrize("public_key", ["", "x", base64.b64encode(b"short").decode()])
    def test_wrong_public_key(self, public_key):
        with pytest.raises(SealError, match="public key"):
            seal(public_key, SECRET)


class TestPublicSide:
    def test_names(self, pair):
        assert pair.key_id == key_id(pair.public_key)
        assert len(pair.key_id) == 16
        assert repr(pair) == f"KeyPair({pair.key_id})"

    def test_looks_sealed(self, pair):
        assert looks_sealed(seal(pair.public_key, SECRET))
        assert not looks_sealed("")
        assert not looks_sealed("no base64")
        assert not looks_sealed(base64.b64encode(bytes(48)).decode())
        assert not looks_sealed("A" * (MAX_SEALED + 4))
