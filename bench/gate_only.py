"""The product without the rules of the business: what policy, channels and gate cost by themselves.

`python -m bench.gate_only` takes the options of `kompass`.
"""

from __future__ import annotations

from unittest.mock import patch

import kompass.business
from kompass.cli import main
from kompass.sync.gate.ports import NoBusiness

if __name__ == "__main__":
    with patch.object(kompass.business, "BusinessRules", NoBusiness):
        main()
