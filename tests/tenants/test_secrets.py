import pytest

from assay_tenants import secrets


def test_an_issued_secret_tells_its_purpose_and_tenant() -> None:
    secret = secrets.issue("wk", 300)
    parsed = secrets.parse(secret)
    assert secret.startswith("wk_12c_")
    assert parsed == ("wk", 300, secrets.digest(secret))


def test_no_two_secrets_are_alike() -> None:
    assert len({secrets.issue("wk", 1) for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param("", id="empty"),
        pytest.param("wk_test", id="another system's key"),
        pytest.param("wk_1_" + "x" * 42, id="one letter short"),
        pytest.param("wk_zz_" + "x" * 44, id="tenant is no number"),
        pytest.param("wk_" + "f" * 16 + "_" + "x" * 44, id="tenant beyond a bigint"),
        pytest.param("wk_-1_" + "x" * 44, id="negative tenant"),
        pytest.param("wk_1_" + "x" * 43 + "\n", id="line break at the end"),
        pytest.param("wk_1_" + "x" * 43 + "é", id="letter beyond ASCII"),
        pytest.param("wk_1_" + "x" * 100_000, id="very long"),
    ],
)
def test_what_we_cannot_have_issued_is_refused_before_any_query(forged: str) -> None:
    assert secrets.parse(forged) is None
