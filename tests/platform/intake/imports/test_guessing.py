from typing import Any

import pytest

from assay.intake.imports.guessing import guess
from assay.intake.imports.models import Kind
from assay.intake.imports.options import Options


def guessed(kind: Kind, columns: dict[str, str], **options: str) -> dict[str, Any]:
    """What each column was taken for; ``columns`` have one value each."""
    samples = {name: [value] for name, value in columns.items() if value}
    found = guess(list(columns), kind, Options.read(options), samples)
    return {each.column: (each.as_, each.name) if each.name else each.as_ for each in found.mapping.columns}


class TestGuess:
    @pytest.mark.parametrize(
        ("columns", "expected"),
        [
            pytest.param(
                {
                    "Record ID": "51", "First Name": "Ada", "Last Name": "Q", "Email": "a@b.test", "Phone Number": "1",
                    "Company Name": "Acme", "Job Title": "CFO", "Last Modified Date": "2026-01-02 10:00",
                },
                {
                    "Record ID": ("vendor_id", "hubspot"), "First Name": ("trait", "first_name"),
                    "Last Name": ("trait", "last_name"), "Email": "email", "Phone Number": ("trait", "phone"),
                    "Company Name": ("company_trait", "name"), "Job Title": ("trait", "title"),
                    "Last Modified Date": "time",
                },
                id="HubSpot",
            ),
            pytest.param(
                {"Contact ID": "0035g00000AbCdEAAX", "Account ID": "0015g", "Account Name": "X", "Email": "a@b.test"},
                {
                    "Contact ID": ("vendor_id", "salesforce"), "Account ID": "company_id",
                    "Account Name": ("company_trait", "name"), "Email": "email",
                },
                id="Salesforce",
            ),
            pytest.param(
                {"ID": "7", "Lead Name": "x", "Work E-mail": "a@b.test", "Modified on": "31.05.2026 10:00:00"},
                {"ID": "user_id", "Lead Name": ("trait", "name"), "Work E-mail": "email", "Modified on": "time"},
                id="Bitrix24",
            ),
            pytest.param(
                {"Kundennummer": "7", "E-Mail-Adresse": "a@b.test", "Vorname": "Ada", "Geändert am": "2026-01-01"},
                {
                    "Kundennummer": "user_id", "E-Mail-Adresse": "email", "Vorname": ("trait", "first_name"),
                    "Geändert am": "time",
                },
                id="German",
            ),
            pytest.param(
                {"Mã KH": "7", "Họ và tên": "A", "Email": "a@b.test", "SĐT": "1", "Công ty": "X", "Chức vụ": "GĐ"},
                {
                    "Mã KH": "user_id", "Họ và tên": ("trait", "name"), "Email": "email", "SĐT": ("trait", "phone"),
                    "Công ty": ("company_trait", "name"), "Chức vụ": ("trait", "title"),
                },
                id="Vietnamese",
            ),
            pytest.param(
                {"Adresă de e-mail": "a@b.test", "Nume complet": "A", "Funcție": "CFO", "Țara": "RO"},
                {
                    "Adresă de e-mail": "email", "Nume complet": ("trait", "name"), "Funcție": ("trait", "title"),
                    "Țara": ("trait", "country"),
                },
                id="Romanian",
            ),
            pytest.param(
                {"客户编号": "7", "姓名": "王", "邮箱": "a@b.test", "公司名称": "X"},
                {
                    "客户编号": "user_id", "姓名": ("trait", "name"), "邮箱": "email",
                    "公司名称": ("company_trait", "name"),
                },
                id="Chinese",
            ),
            pytest.param({"x": "a@b.test", "y": "c@d.test"}, {"x": "email", "y": "trait"}, id="by what stands in it"),
            pytest.param(
                {"name": "A", "Full Name": "B"}, {"name": "trait", "Full Name": "trait"}, id="no name twice"
            ),
        ],
    )  # fmt: skip
    def test_of_leads(self, columns: dict[str, str], expected: dict[str, Any]) -> None:
        assert guessed("leads", columns) == expected

    @pytest.mark.parametrize(
        ("columns", "expected"),
        [
            pytest.param(
                {"user_id": "7", "type": "a", "occurred_at": "2026-01-01", "message_id": "m", "properties.path": "/"},
                {
                    "user_id": "user_id", "type": "type", "occurred_at": "time", "message_id": "message_id",
                    "properties.path": ("property", "path"),
                },
                id="ours",
            ),
            pytest.param(
                {"distinct": "a@b.test", "event": "signup", "ts": "1780236000", "n": "5"},
                {"distinct": "email", "event": "type", "ts": "time", "n": "property"},
                id="by what stands in it",
            ),
            pytest.param({"path": "x", "properties.path": "y"}, {"path": "property", "properties.path": "property"},
                         id="no name twice"),
        ],
    )  # fmt: skip
    def test_of_events(self, columns: dict[str, str], expected: dict[str, Any]) -> None:
        assert guessed("events", columns) == expected

    def test_what_was_asked_for_comes_first(self) -> None:
        found = guessed("leads", {"id": "1", "nr": "2", "mail": "x", "since": "y"}, id_column="nr", time_column="since")
        assert found == {"id": "trait", "nr": "user_id", "mail": "email", "since": "time"}

    @pytest.mark.parametrize(
        ("values", "dates", "warned"),
        [
            pytest.param(["2026-05-31T10:00Z"], "iso", False, id="iso"),
            pytest.param(["1780236000"], "epoch_s", False, id="seconds"),
            pytest.param(["1780236000123"], "epoch_ms", False, id="milliseconds"),
            pytest.param(["1780236000123456"], "epoch_us", False, id="microseconds"),
            pytest.param(["05/06/2026", "13/06/2026"], "dmy", False, id="a day of 13"),
            pytest.param(["05/06/2026", "06/13/2026"], "mdy", False, id="a day of 13 in the second place"),
            pytest.param(["05/06/2026"], None, False, id="either"),
            pytest.param(["05.06.2026"], "dmy", False, id="points"),
            pytest.param(["2026/06/05"], "ymd", False, id="year first"),
            pytest.param(["last Tuesday"], "iso", True, id="no time at all"),
            pytest.param([], "iso", False, id="nothing"),
        ],
    )
    def test_how_dates_are_written(self, values: list[str], dates: str | None, warned: bool) -> None:
        found = guess(["user_id", "at"], "leads", Options(), {"at": values})
        assert (found.mapping.dates, bool(found.warnings)) == (dates, warned)

    def test_warns_of_addresses_that_are_none(self) -> None:
        found = guess(["email"], "leads", Options(), {"email": ["x", "y"]})
        assert "no e-mail addresses" in found.warnings[0]
