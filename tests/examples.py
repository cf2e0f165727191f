"""How many examples tests of rules try."""

from __future__ import annotations

import os

VARIABLE = "KOMPASS_TEST_EXAMPLES"
"""How many times as many as usual: `10` for a long run by hand; `--fast` has a quarter."""


def examples(usual: int) -> int:
    return max(2, round(usual * float(os.environ.get(VARIABLE, "1"))))
