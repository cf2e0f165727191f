"""What can be wrong when a process of the product starts, as one readable line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kompass.cli.errors import UsableError
from kompass.settings import Settings


def check_administrator(settings: Settings) -> None:
    """Raises `UsableError` if there is none."""
    if not settings.admins:
        raise UsableError(
            "no administrator is set. Name one with KOMPASS_ADMIN=NAME:PASSWORD, or look around with"
            " `kompass serve --demo`."
        )


@contextmanager
def readable_errors(settings: Settings) -> Iterator[None]:
    """In the block they become `UsableError`."""
    from kompass.audit.signing import KeysError
    from kompass.cluster.errors import ClusterSchemaError, NoClusterError
    from kompass.demo.load import RealDataError
    from kompass.identity.keycloak import KeycloakError
    from kompass.privacy.journal import JournalError
    from kompass.revocations.log import RevocationLogError
    from replication.protocol.errors import ProtocolError
    from replication.server import CannotServeError
    from replication.store.sqlite import DirectoryInUseError

    try:
        yield
    except (
        CannotServeError,
        ClusterSchemaError,
        DirectoryInUseError,
        JournalError,
        KeycloakError,
        KeysError,
        NoClusterError,
        ProtocolError,
        RealDataError,
        RevocationLogError,
    ) as error:
        raise UsableError(str(error)) from error
    except OSError as error:
        raise UsableError(f"cannot use {settings.directory}: {error.strerror or error}") from error
