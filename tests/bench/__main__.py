"""``make bench``: every table, or with names (``make bench ARGS="idle latency"``) those alone."""

import sys
from importlib import import_module
from pathlib import Path

NAMES = sorted(path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py"))

wanted = sys.argv[1:] or NAMES
if unknown := set(wanted) - set(NAMES):
    sys.exit(f"There is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}.")
for name in wanted:
    import_module(f"tests.bench.bench_{name}").main()
