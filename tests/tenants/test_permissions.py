from pathlib import Path
from typing import get_args

import pytest

from assay_tenants.keys import PRESETS
from assay_tenants.models import Role
from assay_tenants.permissions import IN_WORDS, OF_ROLES, PERMISSIONS, Permission, may, table, within

DOCS = Path(__file__).parents[2] / "docs"


def test_the_table_in_the_docs_is_this_one() -> None:
    assert table() in (DOCS / "permissions.md").read_text()


def test_each_permission_has_words_and_somebody_who_has_it() -> None:
    assert PERMISSIONS == IN_WORDS.keys() == set(get_args(Permission)) == OF_ROLES["owner"]
    assert set(OF_ROLES) == set(get_args(Role))


def test_each_role_may_all_that_the_next_one_may() -> None:
    assert OF_ROLES["viewer"] < OF_ROLES["editor"] < OF_ROLES["admin"] < OF_ROLES["owner"]


@pytest.mark.parametrize(
    "permission", ["leads:write", "leads:reveal", "models:write", "models:publish", "imports:write", "events:write"]
)
def test_a_viewer_changes_nothing_and_sees_nothing_sensitive(permission: Permission) -> None:
    assert not may("viewer", permission)
    assert all(each.endswith(":read") for each in OF_ROLES["viewer"])


def test_nobody_hands_on_more_than_they_have() -> None:
    for role in OF_ROLES:
        assert within(role, PERMISSIONS) == OF_ROLES[role]
        assert within(role, {"leads:read", "tenant:manage"}) <= OF_ROLES[role]


def test_the_preset_that_reads_changes_nothing() -> None:
    assert {scope.partition(":")[2] for scope in PRESETS["read"]} == {"read"}
    assert "leads:reveal" not in PRESETS["read"]
