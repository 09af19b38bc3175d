"""A stored file on this machine's own disk, for what must be read from its end; it stays until it is read."""

import os
import tempfile
from pathlib import Path
from time import time

from sqlalchemy.orm import Session

from assay.intake.imports.models import Import
from assay.intake.imports.storing import whole_pieces

# A worker that was killed leaves its file behind.
_KEPT_SECONDS = 24 * 3600


class Unsafe(RuntimeError):
    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder} belongs to somebody else, so no file of a customer is put there. Remove it.")


def spooled(session: Session, row: Import) -> Path:
    """The file, written there unless it is there already."""
    path = _path(row)
    if path.exists() and path.stat().st_size == row.bytes_total:
        os.utime(path)
        return path
    _sweep(path.parent)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            for piece in whole_pieces(session, row):
                file.write(piece)
            file.flush()
            Path(file.name).rename(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
    return path


def forget(row: Import) -> None:
    _path(row).unlink(missing_ok=True)


def _path(row: Import) -> Path:
    # The token: another installation on this machine may have a tenant and an import of the same numbers.
    return _folder() / f"{row.tenant_id}-{row.id}-{row.options['reading'].get('token', 'x')}"


def _folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"assay-imports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    about = folder.lstat()
    if about.st_uid != os.getuid() or about.st_mode & 0o077 or folder.is_symlink():
        raise Unsafe(folder)
    return folder


def _sweep(folder: Path) -> None:
    for path in folder.iterdir():
        try:
            if path.stat().st_mtime < time() - _KEPT_SECONDS:
                path.unlink()
        except FileNotFoundError:
            continue
