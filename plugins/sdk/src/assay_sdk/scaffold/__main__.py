"""``python -m assay_sdk.scaffold acme``: for those who have the SDK and not Assay."""

import argparse
import sys
from pathlib import Path

from assay_sdk.scaffold import CannotWrite, write


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m assay_sdk.scaffold", description="Writes a new plugin.")
    parser.add_argument("name", help="Such as acme: lower-case letters, digits and dashes.")
    parser.add_argument("--into", type=Path, default=Path(), help="The folder to make it in; this one unless stated.")
    given = parser.parse_args()
    try:
        folder = write(given.name, given.into)
    except CannotWrite as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{folder}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
