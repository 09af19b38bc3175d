import pytest

from assay import mail


class TestLists:
    @pytest.mark.parametrize(
        ("domain", "free", "disposable"),
        [
            pytest.param("gmail.com", True, False, id="a free provider"),
            pytest.param("mail.yahoo.co.uk", True, False, id="below a free provider"),
            pytest.param("mailinator.com", False, True, id="a disposable one"),
            pytest.param("box.mailinator.com", False, True, id="below a disposable one"),
            pytest.param("notgmail.com", False, False, id="ends alike"),
            pytest.param("acme.co.uk", False, False, id="a business"),
            pytest.param("com", False, False, id="a top-level domain"),
            pytest.param("", False, False, id="nothing"),
        ],
    )
    def test_tell_providers(self, domain: str, free: bool, disposable: bool) -> None:
        assert (mail.is_free(domain), mail.is_disposable(domain)) == (free, disposable)

    def test_hold_domains_in_lower_case_and_no_comments(self) -> None:
        for domain in mail.free_domains() | mail.disposable_domains():
            assert domain == domain.strip().lower()
            assert "." in domain

    def test_share_no_domain(self) -> None:
        assert not mail.free_domains() & mail.disposable_domains()
