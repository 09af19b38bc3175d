"""The examination that every plugin is put through."""

from assay_bitrix24.service import Bitrix24
from assay_bitrix24.simulator import Bitrix24Simulator
from assay_sdk.testing import examine


def test_examination() -> None:
    report = examine(Bitrix24(), Bitrix24Simulator)
    assert report.passed, report
