"""The parameters with which a database is made: `PUT /{db}` and the replicator's `create_target_params`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from replication.protocol import errors

_PLACEMENT = re.compile(r"[^:,]+:0*[1-9][0-9]*(?:,[^:,]+:0*[1-9][0-9]*)*", re.ASCII)


def is_partitioned(params: Mapping[str, str]) -> bool:
    """Whether the database is to have partitions.

    What CouchDB takes to lay out a cluster is checked and has no effect. Raises 400 for what it refuses.
    """
    for name in ("n", "q"):
        text = params.get(name)
        if text is not None and not (text.isascii() and text.isdigit() and text.strip("0")):
            raise errors.bad_request(f"The `{name}` value should be a positive integer.")
    if "placement" in params and _PLACEMENT.fullmatch(params["placement"]) is None:
        raise errors.bad_request("The `placement` value should be in a format `zone:n`.")
    if params.get("engine", "couch") != "couch":
        raise errors.bad_request("invalid_engine_extension")
    partitioned = params.get("partitioned", "false")
    if partitioned not in ("true", "false"):
        raise errors.bad_request("Invalid `partitioned` parameter")
    return partitioned == "true"
