"""What Keycloak's admin API tells about its users. Everything here blocks: call it in a thread.

Needs the package python-keycloak (`pip install 'kompass[keycloak]'`) and a client of the realm with a service
account that has `view-users`, `view-events` and `view-clients` of `realm-management`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from kompass.access.principals import Role, known_roles

TIMEOUT = 10
"""Seconds that a request may take."""

MAX_EVENTS = 100

T = TypeVar("T")


class KeycloakError(Exception):
    """Keycloak can't be asked, or says no. The text says what to do."""


@dataclass(frozen=True, slots=True)
class KnownUser:
    """A user of the realm."""

    subject: str
    name: str
    enabled: bool
    roles: frozenset[Role]
    """The effective ones, through groups and composite roles too."""
    email: str = ""
    display_name: str = ""
    """First and last name; like the address empty if Keycloak has none."""


class AdminEvent(NamedTuple):
    """Something that an administrator changed. Equal events are one event."""

    time: int
    """Milliseconds since 1970."""
    operation: str
    path: str
    """As `users/ID/role-mappings/realm`."""

    @property
    def user(self) -> str | None:
        """The id of the user whom it concerns; None if it may concern many."""
        kind, _, rest = self.path.partition("/")
        return rest.partition("/")[0] or None if kind == "users" else None


class KeycloakDirectory:
    """The users of one realm, asked for as a client with a service account."""

    def __init__(self, *, server_url: str, realm: str, client_id: str, client_secret: str) -> None:
        """`client_id`: also the client whose roles count. Raises `KeycloakError` without python-keycloak."""
        try:
            from keycloak import KeycloakAdmin, KeycloakOpenIDConnection
        except ImportError:
            raise KeycloakError(
                "The package python-keycloak is missing: pip install 'kompass[keycloak]'."
            ) from None
        # The last slash counts: without it the library drops the last part of the path.
        connection = KeycloakOpenIDConnection(
            server_url=server_url.rstrip("/") + "/",
            realm_name=realm,
            client_id=client_id,
            client_secret_key=client_secret,
            grant_type="client_credentials",
            timeout=TIMEOUT,
            verify=True,
        )
        self._admin = KeycloakAdmin(connection=connection)
        self._realm = realm
        self._client_id = client_id
        self._client_uuid: str | None = None

    def all(self) -> list[KnownUser]:
        """Every user of the realm but service accounts. Two requests for each: not for every second."""
        return self._asking(lambda: [self._known(user) for user in self._admin.get_users({})])

    def one(self, user_id: str) -> KnownUser | None:
        """One user; None if there is none any more."""
        from keycloak.exceptions import KeycloakGetError

        def ask() -> KnownUser | None:
            try:
                return self._known(self._admin.get_user(user_id))
            except KeycloakGetError as error:
                if error.response_code == 404:
                    return None
                raise

        return self._asking(ask)

    def events(self) -> list[AdminEvent] | None:
        """The latest `MAX_EVENTS` changes, newest first; None if the realm doesn't record them."""

        def ask() -> list[AdminEvent] | None:
            url = f"admin/realms/{self._realm}/events/config"
            config = self._admin.connection.raw_get(url)
            if config.status_code != 200:
                raise KeycloakError(
                    f"Keycloak answered {config.status_code} when asked for its events: the account of "
                    f"{self._client_id} needs view-events of realm-management."
                )
            if not config.json().get("adminEventsEnabled"):
                return None
            found = self._admin.get_admin_events({"first": 0, "max": MAX_EVENTS})
            return [
                AdminEvent(each["time"], each.get("operationType", ""), each.get("resourcePath", ""))
                for each in found
            ]

        return self._asking(ask)

    def _known(self, user: dict[str, Any]) -> KnownUser:
        subject = user["id"]
        if self._client_uuid is None:
            self._client_uuid = self._admin.get_client_id(self._client_id) or ""
        roles = list(self._admin.get_composite_realm_roles_of_user(subject))
        if self._client_uuid:
            roles += self._admin.get_composite_client_roles_of_user(subject, self._client_uuid)
        known = known_roles(each["name"] for each in roles)
        names = (user.get("firstName"), user.get("lastName"))
        return KnownUser(
            subject,
            user["username"],
            user.get("enabled") is True,
            known,
            str(user.get("email") or ""),
            " ".join(name for name in names if isinstance(name, str) and name),
        )

    def _asking(self, ask: Callable[[], T]) -> T:
        from keycloak.exceptions import KeycloakError as LibraryError

        try:
            return ask()
        except LibraryError as error:
            code = error.response_code
            advice = (
                f" Its service account needs view-users, view-events and view-clients of realm-management, "
                f"and the secret of {self._client_id} must be right."
                if code in (400, 401, 403)
                else ""
            )
            raise KeycloakError(f"Keycloak answered {code or 'nothing usable'}: {error}.{advice}") from error
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise KeycloakError(f"Keycloak can't be asked: {error!r}") from error
