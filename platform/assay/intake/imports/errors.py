"""Why a file, or a row of it, is not taken in.

FileRefused     the file can't be read: the import fails with this sentence
+ Unclosed      a quotation mark is opened and never closed: what follows can't be told apart
RowRefused      the row is reported, the others are taken in
"""


class FileRefused(Exception):
    """Its message is the sentence that its sender reads."""


class Unclosed(FileRefused):
    def __init__(self, *, at_end: bool = True) -> None:
        #: The text ended before the mark was closed; otherwise the cell grew too long.
        self.at_end = at_end
        super().__init__("A quotation mark is opened and never closed.")


class RowRefused(Exception):
    def __init__(self, reason: str, *, column: str | None = None) -> None:
        self.reason = reason
        self.column = column
        super().__init__(reason)
