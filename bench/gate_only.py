"""The product without some of its parts: what the gate costs by itself, what the chain of writes adds.

`python -m bench.gate_only` has policy, channels and validation, but neither the rules of the business nor
the chain; `python -m bench.without_chain` lacks the chain. Both take the options of `kompass`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from unittest.mock import patch

import kompass.business
from kompass.audit import AuditExtension
from kompass.business.extension import BusinessExtension
from kompass.cli import main
from kompass.sync.gate.ports import NoBusiness
from replication.store.sqlite import ChangedDocument, Extension, Writing


def _nothing(_self: Extension, _writing: Writing, _documents: Sequence[ChangedDocument]) -> None:
    pass


def run(*, business: bool) -> None:
    """Without the chain, and unless `business` without the rules."""
    with ExitStack() as stack:
        stack.enter_context(patch.object(AuditExtension, "changed", _nothing))
        if not business:
            stack.enter_context(patch.object(kompass.business, "BusinessRules", NoBusiness))
            stack.enter_context(patch.object(BusinessExtension, "changed", _nothing))
        main()


if __name__ == "__main__":
    run(business=False)
