"""Encryption of what lies in a repository: AES-256-GCM, with the name of each object authenticated along
with it.

A repository has a random master key, which lies in its `config` sealed with a key that scrypt derives from
the operator's secret. From the master key follow the one that encrypts and the one that names chunks: a
chunk is called by the HMAC of its bytes, so that equal chunks are stored once and nobody without the key
can tell what one says.

A sealed object is `KBK1`, 12 random bytes, and the ciphertext with its tag. What is encrypted has a method,
its length, and zeros up to a multiple of `GRAIN`, so that lengths tell little.
"""

from __future__ import annotations

import hmac
import json
import secrets
import zlib
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from kompass.backup.errors import BackupError, DamagedError, WrongKeyError

MAGIC = b"KBK1"
GRAIN = 1024
SHORTEST = 12
"""Characters that a secret has at least."""
COST = 1 << 16
"""Of scrypt, with blocks of 8: 64 MB and a fifth of a second."""
_MOST_COST = 1 << 20
_LEVEL = 3
_NONCE = 12
_HEAD = 5
OVERHEAD = len(MAGIC) + _NONCE + 16 + _HEAD + GRAIN
"""A sealed object is at most so much longer than what is in it."""
_RAW, _ZLIB = 0, 1
MOST_CONFIG = 10_000
VERSION = 1


def read_secret(text: bytes) -> bytes:
    """The secret in a key file: its bytes without white space around them. Raises `BackupError`."""
    secret = text.strip()
    if len(secret) < SHORTEST:
        raise BackupError(
            f"the key file has {len(secret)} characters, and at least {SHORTEST} are needed:"
            " make one with `openssl rand -base64 32`"
        )
    return secret


@dataclass(frozen=True, slots=True)
class Keys:
    """Those of one repository."""

    repository: str
    """Its random name, which everything in it is bound to."""
    _cipher: AESGCM
    _naming: bytes

    @classmethod
    def of(cls, repository: str, master: bytes) -> Self:
        def derived(purpose: bytes) -> bytes:
            return hmac.digest(master, b"kompass backup: " + purpose, sha256)

        return cls(repository, AESGCM(derived(b"encrypts")), derived(b"names"))

    def name_of(self, chunk: bytes) -> str:
        """What a chunk is called."""
        return hmac.digest(self._naming, chunk, sha256).hex()

    def seal(self, name: str, content: bytes) -> bytes:
        """An object as it is stored under `name`."""
        nonce = secrets.token_bytes(_NONCE)
        return MAGIC + nonce + self._cipher.encrypt(nonce, _packed(content), self._bound(name))

    def open(self, name: str, sealed: bytes, most: int) -> bytes:
        """What was stored under `name`, at most `most` bytes. Raises `DamagedError`."""
        if sealed[: len(MAGIC)] != MAGIC:
            raise DamagedError(f"{name} is no object of a backup")
        nonce = sealed[len(MAGIC) : len(MAGIC) + _NONCE]
        try:
            packed = self._cipher.decrypt(nonce, sealed[len(MAGIC) + _NONCE :], self._bound(name))
        except (InvalidTag, ValueError):
            raise DamagedError(f"{name} was changed, or is another object under this name") from None
        return _unpacked(name, packed, most)

    def _bound(self, name: str) -> bytes:
        return f"{self.repository}\0{name}".encode()


def _packed(content: bytes) -> bytes:
    method, shorter = _ZLIB, zlib.compress(content, _LEVEL)
    if len(shorter) >= len(content):
        method, shorter = _RAW, content
    packed = bytes([method]) + len(shorter).to_bytes(4, "big") + shorter
    return packed + bytes(-len(packed) % GRAIN)


def _unpacked(name: str, packed: bytes, most: int) -> bytes:
    method, length = packed[0], int.from_bytes(packed[1:_HEAD], "big")
    inner = packed[_HEAD : _HEAD + length]
    if len(inner) != length or method not in (_RAW, _ZLIB):
        raise DamagedError(f"{name} can't be unpacked")
    if method == _ZLIB:
        unpacking = zlib.decompressobj()
        try:
            inner = unpacking.decompress(inner, most + 1)
        except zlib.error:
            raise DamagedError(f"{name} can't be unpacked") from None
    if len(inner) > most:
        raise DamagedError(f"{name} is longer than anything of its kind is")
    return inner


def new_config(secret: bytes) -> tuple[bytes, Keys]:
    """A new repository's `config`, and its keys."""
    repository, salt, nonce = secrets.token_hex(16), secrets.token_bytes(16), secrets.token_bytes(_NONCE)
    master = secrets.token_bytes(32)
    wrapped = nonce + AESGCM(_stretched(secret, salt, COST)).encrypt(nonce, master, repository.encode())
    value = {
        "kompass_backup": VERSION,
        "repository": repository,
        "kdf": {"name": "scrypt", "n": COST, "r": 8, "p": 1, "salt": salt.hex()},
        "key": wrapped.hex(),
    }
    return json.dumps(value, indent=1).encode() + b"\n", Keys.of(repository, master)


def read_config(text: bytes, secret: bytes) -> Keys:
    """The keys of a repository. Raises `WrongKeyError`, `DamagedError`, `BackupError`."""
    try:
        value: Any = json.loads(text)
        version, repository, kdf = value["kompass_backup"], value["repository"], value["kdf"]
        salt, cost, wrapped = bytes.fromhex(kdf["salt"]), kdf["n"], bytes.fromhex(value["key"])
        known = kdf["name"] == "scrypt" and (kdf["r"], kdf["p"]) == (8, 1)
        whole = type(version) is int and isinstance(repository, str) and len(repository) == 32
        sane = type(cost) is int and 1024 <= cost <= _MOST_COST and cost & (cost - 1) == 0 and len(salt) == 16
    except (ValueError, KeyError, TypeError):
        raise DamagedError("config can't be read: it is no repository of backups, or damaged") from None
    if whole and version > VERSION:
        raise BackupError(f"the repository is of a newer version of this program ({version})")
    if not (whole and known and sane and len(wrapped) == _NONCE + 32 + 16):
        raise DamagedError("config can't be read: it is no repository of backups, or damaged")
    try:
        master = AESGCM(_stretched(secret, salt, cost)).decrypt(
            wrapped[:_NONCE], wrapped[_NONCE:], repository.encode()
        )
    except InvalidTag:
        raise WrongKeyError(
            "the key doesn't open this repository: it is another one's, or config was changed"
        ) from None
    return Keys.of(repository, master)


def _stretched(secret: bytes, salt: bytes, cost: int) -> bytes:
    return Scrypt(salt=salt, length=32, n=cost, r=8, p=1).derive(secret)
