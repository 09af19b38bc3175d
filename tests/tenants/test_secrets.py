import pytest

from assay_tenants import secrets


def test_an_issued_secret_tells_its_purpose_and_tenant() -> None:
    secret = secrets.issue("wk", 300)
    parsed = secrets.parse(secret)
    assert secret.startswith("wk_12c_")
    assert parsed == ("wk", 300, secrets.digest(secret))


@pytest.mark.parametrize("prefix", ["ak", "wk"])
def test_a_pasted_secret_says_whose_it_is_and_carries_its_checksum(prefix: str) -> None:
    secret = secrets.issue_pasted(prefix, 300)
    assert secrets.parse(secret) == (prefix, 300, secrets.digest(secret))
    assert secrets.PASTED.findall(f'key = "{secret}";') == [secret]
    assert secret[-6:] == secrets.checksum(secret[:-6])
    for place in range(len("assay_"), len(secret)):
        changed = secret[:place] + ("x" if secret[place] != "x" else "y") + secret[place + 1 :]
        assert secrets.parse(changed) is None or place < len("assay_ak_12c_"), place


@pytest.mark.parametrize(("text", "told"), [("", "AAAAAA"), ("assay", "AbvFO1"), ("assay_ak_1_" + "a" * 44, "EebD0o")])
def test_the_checksum_is_as_documented(text: str, told: str) -> None:
    assert secrets.checksum(text) == told


def test_a_secret_of_before_is_still_read() -> None:
    secret = secrets.issue("ak", 300)
    assert secrets.parse(secret) == ("ak", 300, secrets.digest(secret))


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
        pytest.param("assay_ak_1_" + "x" * 50, id="a wrong checksum"),
        pytest.param("assay_ak_1_" + "x" * 44, id="without its checksum"),
        pytest.param("other_ak_1_" + "x" * 50, id="another brand"),
    ],
)
def test_what_we_cannot_have_issued_is_refused_before_any_query(forged: str) -> None:
    assert secrets.parse(forged) is None
