from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from assay.intake.retries import Retries


class TestNote:
    def test_told_at_once_and_then_once_a_minute(self) -> None:
        clock = [0.0]
        retries = Retries(pause=timedelta(minutes=1), clock=lambda: clock[0])
        with capture_logs() as told:
            for clock[0], stated in [(0.0, "1"), (1.0, "2"), (59.0, "7"), (60.0, "3"), (61.0, "1")]:
                retries.note(stated)
        assert [(line["requests"], line["highest"]) for line in told] == [(1, 1), (3, 7)]

    @pytest.mark.parametrize("stated", ["", "0", "-1", "many", "1.5", "9999999", "²"])
    def test_what_is_no_number_of_attempts_counts_nothing(self, stated: str) -> None:
        with capture_logs() as told:
            Retries().note(stated)
        assert told == []
