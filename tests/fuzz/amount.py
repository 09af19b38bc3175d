"""How much is made up, the same every time: a little, or as much as ASSAY_FUZZ_EXAMPLES says."""

import os

EXAMPLES = int(os.environ.get("ASSAY_FUZZ_EXAMPLES", "0"))
SEED = 9
