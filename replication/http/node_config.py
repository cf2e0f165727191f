"""`/_node/{name}/_config`: the settings, and setting those that can be set while the server runs."""

from __future__ import annotations

import logging

from starlette.responses import Response

from replication.http.call import Call
from replication.http.config_keys import BY_NAME, REQUIRE_LOGIN, SETTABLE, ConfigKey, section_name, shown
from replication.http.responses import json_response
from replication.protocol import errors

UNKNOWN = "unknown_config_value"

log = logging.getLogger("replication.http")


async def everything(call: Call) -> Response:
    return json_response(shown(call.server.config))


async def section(call: Call) -> Response:
    """`GET …/_config/{section}`: empty for one that isn't there, as in CouchDB."""
    return json_response(shown(call.server.config).get(section_name(call.rest[0]), {}))


async def get(call: Call) -> Response:
    return json_response(_value(call))


async def put(call: Call) -> Response:
    """`PUT …/_config/{section}/{key}`: answers the value there was.

    `X-Couch-Persist: false` sets it until the server ends.
    """
    text = await call.json()
    if not isinstance(text, str):
        raise errors.bad_request("a JSON string expected")
    key = _settable(call)
    if (key.section, key.key) == REQUIRE_LOGIN and not call.server.accounts.has_admins:
        raise errors.bad_request("Without an administrator nobody could log in to set it back.")
    old = key.show(call.server.config)
    try:
        await call.server.changes.change(key.name, text.strip(), keep=_keep(call))
    except ValueError as error:
        raise errors.bad_request(str(error)) from None
    log.warning("%s set %s to %r, from %r", call.principal.name or "-", key.name, text.strip(), old)
    return json_response(old)


async def delete(call: Call) -> Response:
    """Goes back to what the server was started with; answers the value there was."""
    old = _value(call)
    key = _settable(call)
    try:
        await call.server.changes.change(key.name, None, keep=_keep(call))
    except ValueError as error:
        raise errors.bad_request(str(error)) from None
    log.warning("%s took back %s, which was %r", call.principal.name or "-", key.name, old)
    return json_response(old)


async def reload(call: Call) -> Response:
    """`POST …/_config/_reload`: forgets what was set without being kept."""
    await call.server.changes.load()
    return json_response({"ok": True})


def _keep(call: Call) -> bool:
    return call.headers.get("x-couch-persist", "").strip().lower() != "false"


def _value(call: Call) -> str:
    name, key = call.rest
    value = shown(call.server.config).get(section_name(name), {}).get(key)
    if value is None:
        raise errors.not_found(UNKNOWN)
    return value


def _settable(call: Call) -> ConfigKey:
    name, key = call.rest
    found = BY_NAME.get(f"{section_name(name)}/{key}")
    if found is None or found.set is None:
        raise errors.forbidden(
            f"{name}/{key} is set when the server is started."
            f" While it runs these can be set: {', '.join(SETTABLE)}."
        )
    return found
