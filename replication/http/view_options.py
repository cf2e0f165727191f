"""What a view is asked for: the parameters of listings, and those that only views have."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from replication.http.listing_options import UNSET, ListingOptions, boolean, integer
from replication.protocol import errors
from replication.protocol.design import View
from replication.protocol.partitions import check_partition
from replication.queries.views import EXACT, UNBOUNDED, ViewQuery

REVERSED = "No rows can match your key range, reverse your start_key and end_key or set descending={}"


@dataclass(slots=True)
class ViewOptions(ListingOptions):
    """Parameters of one query of a view."""

    group_level: int = 0
    refresh: bool = True
    """Whether the index is to be brought up to date before the rows are read."""
    refresh_after: bool = False
    sorted: bool = True
    conflicts_given: bool = False

    def read(self, parameters: Iterable[tuple[str, Any]], *, decoded: bool) -> None:
        given = list(parameters)
        # Not `super()`: a dataclass with slots is another class than the one this was written in.
        ListingOptions.read(self, given, decoded=decoded)
        for name, value in given:
            match name:
                case "group":
                    self._group(boolean(value))
                case "group_level":
                    self.group_level = integer(value, decoded)
                case "update":
                    self.refresh = value in (True, "true")
                    self.refresh_after = value == "lazy"
                case "stale":
                    self.refresh = False
                    self.refresh_after = value == "update_after"
                case "sorted":
                    self.sorted = boolean(value)
                case "conflicts":
                    self.conflicts_given = True

    def _group(self, exact: bool) -> None:
        if exact:
            self.group_level = EXACT
        elif self.group_level > 0:
            raise errors.query_parse_error("Can't specify group=false and group_level>0 at the same time")
        else:
            self.group_level = 0

    def reduces(self, view: View) -> bool:
        """Whether the answer has reduced rows."""
        return view.reduce is not None and self.reduce is not False

    def check_for(self, view: View) -> ViewQuery:
        """The query. Raises the 400 of parameters that don't fit each other or the view."""
        if self.partition is not None:
            check_partition(self.partition)
        reduces = self.reduces(view)
        if self.keys is not None and len(self.keys) == 1:
            self.keys = None  # it has become the start and the end
        self.grouped = self.group_level != 0 and not reduces
        self.reduce, asked = bool(self.reduce) and view.reduce is None, self.reduce
        ListingOptions.check(self, partitioned=True)
        self.reduce = asked
        if reduces:
            if self.keys is not None and self.group_level != EXACT:
                raise errors.query_parse_error("Multi-key fetches for reduce views must use `group=true`")
            if self.include_docs:
                raise errors.query_parse_error("`include_docs` is invalid for reduce")
            if self.conflicts_given:
                raise errors.query_parse_error("`conflicts` is invalid for reduce views.")
        if self.partition is None and view.partitioned:
            raise errors.query_parse_error("`partition` parameter is mandatory for queries to this view.")
        if self.partition is not None and not view.partitioned:
            raise errors.query_parse_error("`partition` parameter is not supported in this design doc")
        query = ViewQuery(
            keys=self.keys,
            start_key=UNBOUNDED if self.start_key is UNSET else self.start_key,
            end_key=UNBOUNDED if self.end_key is UNSET else self.end_key,
            start_docid=self.start_docid,
            end_docid=self.end_docid,
            inclusive_end=self.inclusive_end,
            descending=self.descending,
            skip=self.skip,
            limit=self.limit,
            group_level=self.group_level,
            partition=self.partition,
        )
        if query.is_reversed(view):
            raise errors.query_parse_error(REVERSED.format("false" if self.descending else "true"))
        return query
