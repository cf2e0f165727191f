"""Puts the parts of logging in together, as the settings say."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from kompass.identity.devices import Devices
from kompass.identity.gate import Gate
from kompass.identity.keycloak import KeycloakDirectory
from kompass.identity.keys import KeySet
from kompass.identity.provider import Provider, find_provider
from kompass.identity.records import Records
from kompass.identity.sync import KeycloakSync
from kompass.identity.tokens import AccessTokens, TokenRules
from kompass.settings import Settings
from replication.store.interface import Store


@dataclass(slots=True)
class IdentityServices:
    """What a running server needs to know who asks. Start it once the databases are there; close it."""

    records: Records
    devices: Devices
    gate: Gate
    keys: KeySet | None = None
    """Those of Keycloak, if it is set."""
    provider: Provider | None = None
    """Where pages send people to log in with it."""
    sync: KeycloakSync | None = None
    """Follows Keycloak's users, if there is a secret to ask with."""
    _running: asyncio.Task[None] | None = field(default=None, init=False)

    def start(self) -> None:
        if self.sync is not None:
            self._running = asyncio.create_task(self.sync.run())

    async def close(self) -> None:
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running
        if self.keys is not None:
            await self.keys.close()
        await self.devices.close()


def create_identity(
    store: Store,
    settings: Settings,
    *,
    feed_secret: str = "",
    jobs_secret: str = "",
    database: str = "",
) -> IdentityServices:
    """`feed_secret` lets in the service that follows the feed of `database`, `jobs_secret` the one that does
    jobs.

    Raises `KeycloakError` when Keycloak's users are to be followed and python-keycloak is missing."""
    records = Records(store)
    devices = Devices(store, lease=settings.offline_lease)
    keys, tokens = None, None
    if settings.keycloak_issuer is not None:
        keys = KeySet(f"{_realm_url(settings)}/protocol/openid-connect/certs")
        rules = TokenRules(
            issuer=settings.keycloak_issuer,
            audience=settings.keycloak_client,
            parties=settings.keycloak_parties,
            clock_skew=settings.keycloak_clock_skew,
        )
        tokens = AccessTokens(rules, keys)
    gate = Gate(
        records,
        devices,
        tokens=tokens,
        trust_roles=settings.keycloak_trust_roles,
        feed_secret=feed_secret,
        jobs_secret=jobs_secret,
        database=database,
    )
    directory = keycloak_directory(settings)
    sync = None
    if directory is not None:
        sync = KeycloakSync(directory, records, interval=settings.keycloak_sync_interval)
    return IdentityServices(records, devices, gate, keys, find_provider(settings), sync)


def keycloak_directory(settings: Settings) -> KeycloakDirectory | None:
    """Keycloak's users; None where issuer or secret aren't set."""
    secret = settings.keycloak_client_secret
    if settings.keycloak_issuer is None or secret is None:
        return None
    server_url, _, realm = _realm_url(settings).rpartition("/realms/")
    return KeycloakDirectory(
        server_url=server_url,
        realm=realm,
        client_id=settings.keycloak_client,
        client_secret=secret.get_secret_value(),
    )


def _realm_url(settings: Settings) -> str:
    """Where the realm is reached from here: the issuer's address unless `keycloak_url` says another."""
    assert settings.keycloak_issuer is not None
    if settings.keycloak_url is None:
        return settings.keycloak_issuer
    return f"{settings.keycloak_url}/realms/{settings.keycloak_issuer.rpartition('/realms/')[2]}"
