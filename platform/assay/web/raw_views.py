"""A message's bytes as a page shows them: as text where they are text, byte by byte where they are not."""

from dataclasses import dataclass

from assay.profiles.marks import Marks
from assay.web.messages import readable

#: The rest is left to the download.
SHOWN = 64 * 1024
_WIDTH = 16


@dataclass(frozen=True)
class RawView:
    text: str
    is_text: bool
    #: There is more than is shown.
    is_cut: bool


def raw_view(body: bytes, marks: Marks) -> RawView:
    """What the tenant keeps out of sight is masked; where it can't be told what that is, nothing is shown."""
    part = body[:SHOWN]
    is_cut = len(body) > SHOWN
    try:
        body.decode()
    except UnicodeDecodeError:
        if not marks:
            return RawView(_bytes(part), False, is_cut)
    text = readable(body, "", marks).about
    if all(letter.isprintable() or letter in "\n\r\t" for letter in text[:SHOWN]):
        return RawView(text[:SHOWN], True, len(text) > SHOWN)
    return RawView(_bytes(text[:SHOWN].encode()), False, is_cut)


def _bytes(part: bytes) -> str:
    """Sixteen a line: where they begin, what they are, and the letters among them."""
    lines = []
    for start in range(0, len(part), _WIDTH):
        row = part[start : start + _WIDTH]
        letters = "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in row)
        lines.append(f"{start:08x}  {row.hex(' '):<{_WIDTH * 3 - 1}}  {letters}")
    return "\n".join(lines)
