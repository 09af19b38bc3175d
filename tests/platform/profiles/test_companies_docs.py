"""What docs/companies.md promises is so."""

import re
from pathlib import Path

import pytest

from assay import mail
from assay.normalise import checking
from assay.profiles import companies, domains, merging

PAGE = (Path(__file__).parents[3] / "docs" / "companies.md").read_text("utf-8")


@pytest.mark.parametrize(
    "sentence",
    [
        f"a domain that more than {companies.CROWD} ids state",
        f"| traits in one record | {checking.MAX_TRAITS:,}, and {checking.MAX_SIZE // 1024} KB |",
        f"| traits of one identity, lead or company | {merging.MOST_FIELDS:,} |",
        "`" + "`, `".join(domains.TELLING_DOMAIN[:-1]) + f"` or `{domains.TELLING_DOMAIN[-1]}`",
    ],
)
def test_its_bounds_and_names_are_the_ones_in_force(sentence: str) -> None:
    assert sentence in re.sub(r"\s+", " ", PAGE)


def test_its_examples_are_read_as_it_says() -> None:
    assert domains.of_address("ann@mail.acme.co.uk") == "acme.co.uk"
    assert domains.of_address("info@acme.com") == "acme.com"
    assert mail.is_free("gmail.com")
    assert mail.is_free("qq.com")
    for site in (
        "facebook.com/acme",
        "linkedin.com/company/x",
        "sites.google.com/x",
        "co.uk",
        "github.io",
        "example.com",
    ):
        assert domains.of_site(site) is None
    assert domains.of_site("acme.local") == "acme.local"
    assert len({domains.of_site(site) for site in ("a.github.io", "b.github.io", "acme.uk.com", "byte.uk.com")}) == 4
    assert domains.of_site("bücher.de") == domains.of_site("xn--bcher-kva.de")
