from typing import Any

import pytest

from assay.scoring.models import ModelVersion
from assay.web.models import spread_of
from assay.web.rulers import Ruler, ruler

STAGES = [{"name": "Lead", "from": 50}, {"name": "Prospect", "above": 9.5}, {"name": "MQL", "from": 75}]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param({}, Ruler(0, 100_000, None), id="nothing said"),
        pytest.param({"scale": {"min": -10, "max": 50}}, Ruler(-10_000, 50_000, 50_000), id="scale"),
        pytest.param(
            {"stages": STAGES}, Ruler(0, 75_000, None, ("Prospect", "Lead", "MQL")), id="stages, lowest first"
        ),
    ],
)
def test_ruler(document: dict[str, Any], expected: Ruler) -> None:
    assert ruler(ModelVersion(document=document)) == expected


def test_spread_leaves_out_stages_where_nobody_stands() -> None:
    scale = ruler(ModelVersion(document={"stages": STAGES}))
    shares = spread_of({None: 6, "MQL": 2}, scale)
    assert [(share.name, share.x, share.width, share.tone) for share in shares] == [
        ("No stage", 0, 75, 0),
        ("MQL", 75, 25, 4),
    ]
