from typing import Any

import pytest

from assay.profiles.naming import folded, lead_name, search_key


class TestFolded:
    @pytest.mark.parametrize(
        ("text", "found_by"),
        [
            pytest.param("Đặng Thị Ánh", "dang thi anh", id="vietnamese"),
            pytest.param("Șerban Țăranu", "serban taranu", id="romanian"),
            pytest.param("Straße  Ærø", "strasse aero", id="german and danish"),
            pytest.param("李 王", "李 王", id="chinese"),
            pytest.param("Ｆｕｌｌ", "full", id="full width"),
        ],
    )
    def test_case_and_accents_do_not_matter(self, text: str, found_by: str) -> None:
        assert folded(text) == found_by


class TestLeadName:
    @pytest.mark.parametrize(
        ("traits", "name"),
        [
            pytest.param({"name": " Ada  Example "}, "Ada Example", id="name"),
            pytest.param({"first_name": "Ada", "last_name": "Example"}, "Ada Example", id="two parts"),
            pytest.param({"firstName": "Ada"}, "Ada", id="one part"),
            pytest.param({"name": 7, "lastname": "Example"}, "Example", id="a number is no name"),
            pytest.param({"email": "ada@acme.test"}, "ada@acme.test", id="address"),
            pytest.param({}, "bo@acme.test", id="identifier"),
        ],
    )
    def test_is_the_best_that_is_known(self, traits: dict[str, Any], name: str) -> None:
        assert lead_name(traits, [("user_id", "u1"), ("email", "bo@acme.test")]) == name

    def test_a_device_has_none(self) -> None:
        assert lead_name({}, [("anonymous_id", "d1")]) is None


def test_search_key_names_each_thing_once() -> None:
    key = search_key(name="Ada", email="ada@acme.test", traits={"company": "Ignored"}, company="ACME")
    assert key == "ada ada@acme.test acme"
    assert search_key(name="a@b.test", email="a@b.test", traits={"company": "Byte"}, company=None) == "a@b.test byte"
