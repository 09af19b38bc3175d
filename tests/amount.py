"""How many examples a property is tried on: enough for each change, or ASSAY_EXAMPLES times as many."""

import os

_TIMES = int(os.environ.get("ASSAY_EXAMPLES", "1"))


def examples(usual: int) -> int:
    return usual * _TIMES
