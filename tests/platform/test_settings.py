import stat
from pathlib import Path

import pytest

from assay.settings import BadSetting, Settings, masked_address, secret_key_in, unknown_names

SECRET = "s3cret-" * 6


class TestFromEnviron:
    def test_nothing_set_is_the_embedded_default(self) -> None:
        settings = Settings.from_environ({})
        assert settings.embedded_database
        assert settings.embedded_redis
        assert settings.data_dir == Path("data").absolute()
        assert settings.address == "http://127.0.0.1:8000"

    def test_an_empty_value_is_none(self) -> None:
        assert Settings.from_environ({"ASSAY_PORT": ""}).port == 8000

    def test_values_are_read(self) -> None:
        settings = Settings.from_environ(
            {"ASSAY_PORT": "9000", "ASSAY_DEMO": "No", "ASSAY_LOG_LEVEL": "debug", "ASSAY_HOST": "::1", "HOME": "/x"}
        )
        assert (settings.port, settings.demo, settings.log_level) == (9000, False, "DEBUG")
        assert settings.address == "http://[::1]:9000"

    @pytest.mark.parametrize(
        ("name", "value", "sentence"),
        [
            pytest.param("PORT", "http", "ASSAY_PORT is not a number: 'http'. Accepted: a whole number", id="word"),
            pytest.param("PORT", "70000", "ASSAY_PORT is out of range: 70000. Accepted: a whole number", id="range"),
            pytest.param("DEMO", "maybe", "ASSAY_DEMO is neither yes nor no: 'maybe'", id="yes or no"),
            pytest.param("LOG_LEVEL", "loud", "Accepted: DEBUG, INFO, WARNING, ERROR.", id="choice"),
            pytest.param("REDIS_URL", "localhost:6379", "Accepted: an address beginning with redis://", id="scheme"),
            pytest.param(
                "DATABASE_URL", "mysql://u:hunter2@h/d", "ASSAY_DATABASE_URL has another scheme", id="dialect"
            ),
            pytest.param("SECRET_KEY", "hunter2", "ASSAY_SECRET_KEY is too short (7 characters)", id="short key"),
        ],
    )
    def test_a_bad_value_is_refused_by_name(self, name: str, value: str, sentence: str) -> None:
        with pytest.raises(BadSetting) as refusal:
            Settings.from_environ({f"ASSAY_{name}": value})
        assert sentence in str(refusal.value)
        assert "hunter2" not in str(refusal.value)

    def test_a_child_process_gets_the_same(self) -> None:
        settings = Settings(port=8123, demo=False, secret_key=SECRET, database_url="postgresql://u:p@h/d")
        assert Settings.from_environ(settings.as_environ()) == settings


class TestSecrets:
    def test_never_shown(self) -> None:
        settings = Settings(
            secret_key=SECRET, database_url="postgresql://u:hunter2@h/d", redis_url="redis://:hunter2@h/0"
        )
        for shown in (repr(settings), str(settings), repr(settings.rows())):
            assert SECRET not in shown
            assert "hunter2" not in shown
            assert "postgresql://u:••••••@h/d" in shown

    @pytest.mark.parametrize(
        ("address", "shown"),
        [
            pytest.param("postgresql:///d?host=/run", "postgresql:///d?host=/run", id="none"),
            pytest.param("postgresql://u@h/d", "postgresql://u@h/d", id="user alone"),
            pytest.param("redis://:p@ss@h:1/0", "redis://:••••••@h:1/0", id="with an at sign"),
            pytest.param("postgresql://h/d?password=p&x=1", "postgresql://h/d?password=••••••&x=1", id="query"),
        ],
    )
    def test_masked_address(self, address: str, shown: str) -> None:
        assert masked_address(address) == shown

    def test_a_key_is_made_once_for_its_owner_alone(self, tmp_path: Path) -> None:
        key = secret_key_in(tmp_path)
        assert len(key) >= 32
        assert secret_key_in(tmp_path) == key
        assert stat.S_IMODE((tmp_path / "secret-key").stat().st_mode) == 0o600


def test_misspelt_names_are_found() -> None:
    assert unknown_names({"ASSAY_PROT": "1", "ASSAY_PORT": "1", "PROT": "1"}) == ["ASSAY_PROT"]


def test_what_commands_read_is_no_misspelt_setting() -> None:
    assert unknown_names({"ASSAY_URL": "https://assay.example.test", "ASSAY_API_KEY": "ak_1_x"}) == []
