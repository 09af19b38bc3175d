"""Keeps child processes from outliving their parent, even one that was killed outright."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
# Loaded beforehand: between fork and exec nothing may be imported.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent(parent: int, last_word: signal.Signals = signal.SIGTERM) -> None:
    """Has the kernel send this process `last_word` when `parent` dies; elsewhere than on Linux it does nothing."""
    if _libc is None:
        return
    _libc.prctl(_PR_SET_PDEATHSIG, int(last_word), 0, 0, 0)
    if os.getppid() != parent:  # it died before the kernel was told
        os.kill(os.getpid(), last_word)
