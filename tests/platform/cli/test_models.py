"""`assay models apply` against the real server: what is planned is what happens, and a second run changes nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from assay.cli import main
from assay.scoring import queries, service
from assay_tenants.keys import issue_key

BASE = """\
# Kept in git.
model: base
rules: [{id: owner, when: {trait: title, is: Owner}, points: %s}]
examples: [{name: an owner, traits: {title: Owner}, expect: {total: %s}}]
"""
CHILD = """\
model: child
rules: [{id: ripe, when: {model: base, score: {gte: 30}}, points: 10}]
examples: [{name: ripe, traits: {title: Owner}, expect: {total: %s}}]
"""

Apply = Callable[..., Result]


@pytest.fixture
def address(port: int) -> str:
    return f"http://127.0.0.1:{port}"


@pytest.fixture
def key(tenant) -> str:
    return issue_key(tenant.tenant_id, kind="api", name="CI").secret


@pytest.fixture
def apply(tmp_path: Path, address: str, key: str) -> Apply:
    """Writes these files over those of the folder and runs the command; a file given as None is removed."""

    def run(*options: str, **files: str | bytes | None) -> Result:
        for name, text in files.items():
            path = tmp_path / f"{name}.yaml"
            if text is None:
                path.unlink()
            else:
                path.write_bytes(text.encode() if isinstance(text, str) else text)
        given = ["models", "apply", str(tmp_path), "--url", address, *options]
        return CliRunner().invoke(main, given, env={"ASSAY_API_KEY": key})

    return run


def base(points: int = 40) -> str:
    return BASE % (points, points)


def child(total: int = 10) -> str:
    return CHILD % total


def live(tenant_id: int) -> dict[str, int | None]:
    return {row.name: row.published_version for row in queries.list_models(tenant_id)}


class TestApply:
    def test_from_a_folder_to_live_models_and_back_to_rest(self, tenant, apply: Apply) -> None:
        first = apply(a_child=child(), b_base=base())
        assert first.exit_code == 0, first.output
        assert first.stdout.splitlines() == [
            "create    base",
            "            1 rules, from b_base.yaml",
            "create    child",
            "            1 rules, from a_child.yaml",
            "base: version 1 is live",
            "child: version 1 is live",
        ]
        assert live(tenant.tenant_id) == {"base": 1, "child": 1}
        assert queries.get_model(tenant.tenant_id, "base").draft == base()
        again = apply()
        assert (again.exit_code, again.stdout.splitlines()[-1]) == (0, "Nothing to change.")
        assert live(tenant.tenant_id) == {"base": 1, "child": 1}
        changed = apply(b_base=base(45))
        assert "            rule owner: points 40 → 45" in changed.stdout
        assert "base: version 2 is live" in changed.stdout
        # Whoever asks the base followed it, and rests from then on.
        assert live(tenant.tenant_id) == {"base": 2, "child": 2}
        assert apply().stdout.splitlines() == ["unchanged base", "unchanged child", "Nothing to change."]

    def test_a_dry_run_only_tells(self, tenant, apply: Apply) -> None:
        told = apply("--dry-run", base=base())
        assert (told.exit_code, told.stdout.splitlines()[0]) == (3, "create    base")
        assert live(tenant.tenant_id) == {}
        apply()
        assert apply("--dry-run").exit_code == 0

    def test_models_that_are_not_in_the_folder_are_left_alone(self, tenant, apply: Apply) -> None:
        apply(base=base(), child=child())
        told = apply(child=None)
        assert "left alone: child (not in the folder)" in told.stdout
        assert live(tenant.tenant_id) == {"base": 1, "child": 1}

    def test_a_draft_that_is_the_files_is_published(self, tenant, apply: Apply) -> None:
        service.create_model(tenant.tenant_id, base())
        assert apply(base=base()).stdout.splitlines()[0] == "publish   base"
        assert live(tenant.tenant_id) == {"base": 1}

    def test_says_whose_draft_it_replaces(self, tenant, apply: Apply) -> None:
        apply(base=base())
        service.save_draft(tenant.tenant_id, "base", base(50), by="Grace Example")
        told = apply(base=base(60))
        assert "replaces a draft saved by Grace Example" in told.stdout
        assert live(tenant.tenant_id) == {"base": 2}

    def test_after_a_rollback_the_folder_counts_again(self, tenant, apply: Apply) -> None:
        apply(base=base(40))
        apply(base=base(50))
        service.rollback(tenant.tenant_id, "base", 1, by="Ada Example")
        told = apply()
        assert told.stdout.splitlines()[:2] == ["publish   base", "            rule owner: points 40 → 50"]
        assert live(tenant.tenant_id) == {"base": 2}

    def test_remarks_alone_make_no_version(self, tenant, apply: Apply) -> None:
        apply(base=base())
        assert "spelling and remarks alone" in apply(base="# Another remark\n" + base()).stdout
        assert live(tenant.tenant_id) == {"base": 1}
        assert apply().stdout.splitlines()[-1] == "Nothing to change."


class TestAllOrNothing:
    @pytest.mark.parametrize(
        ("files", "sentence"),
        [
            pytest.param({"other": "{model: other, rules: []}"}, "other.yaml: rules", id="no model"),
            pytest.param({"other": "rules: ["}, "other.yaml", id="no YAML"),
            pytest.param({"other": base().replace("base", "overlaps")}, "an address of the API", id="a name taken"),
            pytest.param({"other": b"\xff\xfe"}, "other.yaml: is not UTF-8 text", id="no text"),
            pytest.param({"other": base()}, "'base' is the model of", id="two of one name"),
            pytest.param({"child": child(11)}, "expect.total: expected 11, found 10", id="an example fails"),
            pytest.param({"base": base(20), "child": child()}, "expected 10, found 0", id="one that follows fails"),
            pytest.param(
                {"other": "{model: other, rules: [{id: a, when: {model: none, score: {gte: 1}}, points: 1}]}"},
                "asks for the model 'none', which is neither in the folder nor published", id="nobody to ask",
            ),
            pytest.param(
                {"base": "{model: base, rules: [{id: a, when: {model: child, score: {gte: 1}}, points: 1}]}",
                 "child": child()},
                "in a circle: base → child → base", id="a circle",
            ),
        ],
    )  # fmt: skip
    def test_one_mistake_and_nothing_changes(self, tenant, apply: Apply, files, sentence) -> None:
        told = apply(**{"base": base(), **files})
        assert told.exit_code == 2
        assert sentence in told.stderr
        assert live(tenant.tenant_id) == {}

    def test_a_model_on_the_server_that_could_not_follow(self, tenant, apply: Apply) -> None:
        apply(base=base(), child=child())
        told = apply(child=None, base=base(20))
        assert told.exit_code == 2
        assert "model 'child' on the server: examples[0].expect.total: expected 10, found 0" in told.stderr
        assert live(tenant.tenant_id) == {"base": 1, "child": 1}

    def test_an_archived_model_is_not_woken(self, tenant, apply: Apply) -> None:
        apply(base=base())
        service.archive(tenant.tenant_id, "base", by="Ada Example")
        told = apply(base=base(50))
        assert (told.exit_code, live(tenant.tenant_id)) == (2, {"base": None})
        assert "is archived on the server" in told.stderr

    def test_an_empty_folder_is_a_mistake(self, apply: Apply) -> None:
        told = apply()
        assert told.exit_code == 2
        assert "holds no model" in told.stderr


class TestServer:
    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            pytest.param(["--key", "ak_1_wrong"], "API key is unknown, revoked or expired", id="a wrong key"),
            pytest.param(["--url", "http://127.0.0.1:1"], "http://127.0.0.1:1 can't be reached", id="nobody there"),
            pytest.param(["--key", "ключ"], "--key is no API key", id="a key in other letters"),
            pytest.param(["--key", "ak_1\n"], "--key is no API key", id="a key with a line's end"),
            pytest.param(["--url", "nowhere"], "can't be reached", id="no address"),
            pytest.param(["--url", "http://127.0.0.1:1:1"], "", id="not even nearly"),
        ],
    )
    def test_refusals_are_one_sentence(self, apply: Apply, options, sentence) -> None:
        told = apply(*options, base=base())
        assert told.exit_code == 1
        assert told.stderr.startswith("Error: ")
        assert sentence in told.stderr
        assert "Traceback" not in told.output

    def test_a_folder_must_be_one(self, tmp_path: Path, address: str) -> None:
        told = CliRunner().invoke(main, ["models", "apply", str(tmp_path / "none"), "--url", address, "--key", "x"])
        assert told.exit_code == 2
