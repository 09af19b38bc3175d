import pytest

from assay.profiles.matching import persona
from assay_sdk import Identifiers


class TestPersona:
    @pytest.mark.parametrize(
        ("ids", "strong", "primary"),
        [
            pytest.param(Identifiers(user_id="u"), ["u"], "u", id="user id"),
            pytest.param(Identifiers(email=" Ada@Acme.TEST "), ["ada@acme.test"], "ada@acme.test", id="address folded"),
            pytest.param(
                Identifiers("u", "a@b.test", "d", {"hubspot": "5"}), ["u", "a@b.test", "5"], "u", id="all of them"
            ),
            pytest.param(Identifiers(vendor={"b": "2", "a": "1"}), ["1", "2"], "1", id="vendors by name"),
            pytest.param(Identifiers(anonymous_id="d"), [], "d", id="device alone"),
            pytest.param(Identifiers(user_id="u", anonymous_id="d"), ["u"], "u", id="device with a person"),
            pytest.param(Identifiers(email="info@acme.test"), [], "info@acme.test", id="role address alone"),
            pytest.param(Identifiers("u", "info@acme.test"), ["u"], "u", id="role address set aside"),
            pytest.param(Identifiers("u", "sales+vn@acme.test"), ["u"], "u", id="role address with a tag"),
            pytest.param(Identifiers("u", "not an address"), ["u"], "u", id="no address at all"),
            pytest.param(Identifiers(None, "info@acme.test", "d"), [], "d", id="device before role address"),
            pytest.param(Identifiers("null", "a@b.test"), ["a@b.test"], "a@b.test", id="null is nobody"),
            pytest.param(
                Identifiers("00000000-0000-0000-0000-000000000000", "a@b.test"), ["a@b.test"], "a@b.test", id="zeros"
            ),
            pytest.param(Identifiers("undefined"), [], "undefined", id="placeholder alone"),
            pytest.param(Identifiers("0"), ["0"], "0", id="a plain zero is a row's number"),
            pytest.param(Identifiers(email="  "), [], None, id="nothing but blanks"),
        ],
    )
    def test_strong_ones_join_and_the_first_keeps(
        self, ids: Identifiers, strong: list[str], primary: str | None
    ) -> None:
        who = persona(ids)
        assert [value for _, value in who.strong] == strong
        assert (who.primary and who.primary[1]) == primary

    def test_a_role_address_beside_another_id_is_remembered(self) -> None:
        assert persona(Identifiers("u", "Info@Acme.test")).shared_address == "info@acme.test"

    def test_a_role_address_alone_needs_no_remembering(self) -> None:
        assert persona(Identifiers(email="info@acme.test")).shared_address is None
