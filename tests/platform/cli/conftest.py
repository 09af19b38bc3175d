"""Commands that run in this very process."""

import pytest

from assay import logs


@pytest.fixture(autouse=True)
def _no_logging_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loggers remember how they were set up first: whoever looks at lines later in this process would see none."""
    monkeypatch.setattr(logs, "configure", lambda *_, **__: None)
    monkeypatch.setattr(logs, "watch_for_crashes", lambda: None)
