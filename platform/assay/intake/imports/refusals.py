"""How the cells of refused rows are written, so that a spreadsheet opens them as text and we read them as they were.

A cell that begins with ``=``, ``+``, ``-``, ``@``, a tab or a line end would be taken for a formula, so an apostrophe
goes before it, unless it is a plain number; one that begins with an apostrophe before such a letter gets another one.
"""

import re

_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?")


def escaped(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else cell


def unescaped(cell: str) -> str:
    """Takes back ``escaped``; for cells of a file that is ours."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell, 1) else cell
