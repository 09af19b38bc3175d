import time

import pytest

from assay.supervisor import Child


@pytest.fixture
def child() -> Child:
    return Child("worker", ["false"], {}, patience=1.0)


def delay_after(child: Child, *, seconds: float) -> float:
    """How long a child waits that ran for so long."""
    child.started_at = time.monotonic() - seconds
    child.plan_restart()
    return child.due_at - time.monotonic()


def test_what_ends_again_and_again_waits_longer_but_never_long(child: Child) -> None:
    delays = [delay_after(child, seconds=1) for _ in range(8)]
    assert delays == pytest.approx([0.5, 1, 2, 4, 8, 8, 8, 8], abs=0.05)


def test_what_was_well_is_back_at_once(child: Child) -> None:
    for _ in range(5):
        delay_after(child, seconds=1)
    assert delay_after(child, seconds=11) == pytest.approx(0.5, abs=0.05)
