"""The keys that sign checkpoints: Ed25519, one after the other, each signed by the one before it.

They lie in one file of the data directory that only its owner reads: all public keys, and the secret of the
latest. Older secrets are gone, so nobody can sign the past again. The public part is what others check
with; whoever keeps it elsewhere notices if the whole file is replaced.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from kompass.audit.canonical import canonical
from kompass.texts import Text

FILE = "audit-keys.json"
LIFE = timedelta(days=90)
"""How long a key signs."""


class KeysError(Exception):
    """The keys can't be used; the text says why."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key as others know it."""

    public: str
    """32 bytes in hex."""
    since: str
    signature: str
    """Over the rest, by the key before it; by itself if it is the first."""

    @property
    def id(self) -> str:
        return key_id(self.public)

    def statement(self) -> bytes:
        return canonical({"public": self.public, "since": self.since})

    def verifies(self, signature: bytes, text: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.public)).verify(signature, text)
        except (InvalidSignature, ValueError):
            return False
        return True

    def as_json(self) -> dict[str, str]:
        return {
            "id": self.id,
            "public": self.public,
            "since": self.since,
            "signature": self.signature,
        }


def key_id(public: str) -> str:
    return sha256(bytes.fromhex(public)).hexdigest()[:16]


def read_public(value: Any) -> tuple[PublicKey, ...]:
    """Public keys from JSON. Raises `KeysError` if they are malformed or don't vouch for one another."""
    try:
        keys = tuple(PublicKey(one["public"], one["since"], one["signature"]) for one in value)
        for number, key in enumerate(keys):
            signer = keys[max(number - 1, 0)]
            if not signer.verifies(bytes.fromhex(key.signature), key.statement()):
                raise KeysError(f"the key {key.id} isn't signed by the one before it")
    except (KeyError, TypeError, ValueError, AttributeError):
        raise KeysError("the public keys can't be read") from None
    return keys


class SigningKeys:
    """The keys of one chain. The first is made when something is signed."""

    def __init__(self, text: Text) -> None:
        """Raises `KeysError` if the text can't be used."""
        self._text = text
        self.public: tuple[PublicKey, ...] = ()
        self._secret: Ed25519PrivateKey | None = None
        self._since: datetime | None = None
        self._load()

    def _load(self) -> None:
        try:
            content = self._text.read()
            if content is None:
                return
            value = json.loads(content)
            self.public = read_public(value["keys"])
            self._secret = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(value["secret"]))
            self._since = datetime.fromisoformat(self.public[-1].since)
            is_its = self._secret.public_key().public_bytes_raw().hex() == self.public[-1].public
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise KeysError(f"{self._text.shown} can't be used: {error}") from None
        if not is_its:
            raise KeysError(f"{self._text.shown} can't be used: its secret isn't that of the latest key")

    def known(self) -> tuple[PublicKey, ...]:
        """`public`, with what another process has made meanwhile. Reads the text. Raises `KeysError`."""
        self._load()
        return self.public

    def sign(self, make: Callable[[str], bytes], now: datetime) -> tuple[bytes, bytes]:
        """Signs what `make` returns for the id of the key: (text, signature). Makes a key when one is due."""
        self._load()  # another process may have made the next one
        if self._secret is None or self._since is None or now - self._since >= LIFE:
            self._renew(now)
        assert self._secret is not None
        text = make(self.public[-1].id)
        return text, self._secret.sign(text)

    def _renew(self, now: datetime) -> None:
        secret = Ed25519PrivateKey.generate()
        public = secret.public_key().public_bytes_raw().hex()
        unsigned = PublicKey(public, now.isoformat(), "")
        signature = (self._secret or secret).sign(unsigned.statement()).hex()
        keys = (*self.public, PublicKey(public, unsigned.since, signature))
        self._save(keys, secret)
        self.public, self._secret, self._since = keys, secret, now

    def _save(self, keys: Sequence[PublicKey], secret: Ed25519PrivateKey) -> None:
        value = {"keys": [key.as_json() for key in keys], "secret": secret.private_bytes_raw().hex()}
        self._text.replace(json.dumps(value, indent=1).encode())
