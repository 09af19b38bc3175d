"""What became of a model, on its pages: two people's drafts, differences, the way back, the archive."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from assay.scoring import queries, service
from assay_tenants.access.service import SignedUp

MODEL = """\
model: smb
title: Owners of bakeries
persona: Owner <b>of</b> a bakery
rules:
  - {{id: owner, when: {{trait: title, in: [CFO, Owner]}}, points: {points}}}
"""
ASKING = "{model: child, rules: [{id: a, when: {model: smb, score: {gte: 1}}, points: 1}]}"


def text(points: int = 20) -> str:
    return MODEL.format(points=points)


@pytest.fixture
def smb(tenant: SignedUp) -> int:
    """Two versions, the second one live; the draft differs from both."""
    service.create_model(tenant.tenant_id, text(10))
    service.publish(tenant.tenant_id, "smb", by="Grace Example")
    service.save_draft(tenant.tenant_id, "smb", text(20))
    service.publish(tenant.tenant_id, "smb", by="Grace Example", note="Owners matter more")
    service.save_draft(tenant.tenant_id, "smb", text(30))
    return tenant.tenant_id


def revision(page: str) -> str:
    found = re.search(r'name="revision" value="(\d+)"', page)
    assert found
    return found[1]


class TestTwoPeople:
    @pytest.mark.parametrize("deed", ["", "/publish"])
    def test_the_second_sees_both_and_nothing_is_overwritten(self, person: Any, smb: int, deed: str) -> None:
        began = revision(person.opens("/models/smb").text)
        service.save_draft(smb, "smb", text(40), by="Grace Example")
        answer = person.sends(f"/models/smb{deed}", on="/models/smb", source=text(50), revision=began)
        assert answer.status_code == 409
        assert "Grace Example saved this draft meanwhile" in answer.text
        assert "rule owner: points 40 → 50" in answer.text
        assert "points: 40" in answer.text
        assert "points: 50" in answer.text
        assert queries.get_model(smb, "smb").draft == text(40)
        assert queries.get_model(smb, "smb").published_version == 2

    def test_having_seen_it_the_second_may_save(self, person: Any, smb: int) -> None:
        began = revision(person.opens("/models/smb").text)
        service.save_draft(smb, "smb", text(40), by="Grace Example")
        refused = person.sends("/models/smb", on="/models/smb", source=text(50), revision=began).text
        assert person.sends(
            "/models/smb", on="/models/smb", source=text(50), revision=revision(refused)
        ).status_code == 303  # fmt: skip
        assert queries.get_model(smb, "smb").draft == text(50)

    def test_a_mistake_does_not_make_one_forget_what_it_began_as(self, person: Any, smb: int) -> None:
        began = revision(person.opens("/models/smb").text)
        service.save_draft(smb, "smb", text(40), by="Grace Example")
        wrong = person.sends("/models/smb", on="/models/smb", source="model: smb", revision=began)
        assert (wrong.status_code, revision(wrong.text)) == (422, began)

    def test_remarks_alone_are_said_to_be_that(self, person: Any, smb: int) -> None:
        began = revision(person.opens("/models/smb").text)
        service.save_draft(smb, "smb", "# theirs\n" + text(30))
        answer = person.sends("/models/smb", on="/models/smb", source="# mine\n" + text(30), revision=began)
        assert (answer.status_code, "differ in spelling or remarks alone" in answer.text) == (409, True)


class TestPublish:
    def test_shows_the_example_that_fails(self, person: Any, smb: int) -> None:
        wrong = text(30) + "examples:\n  - name: owner\n    traits: {title: Owner}\n    expect: {total: 31}\n"
        for deed in ("check", "publish"):
            answer = person.sends(f"/models/smb/{deed}", on="/models/smb", source=wrong)
            assert "expected 31, found 30" in answer.text
            assert 'data-line="9"' in answer.text
        assert queries.get_model(smb, "smb").published_version == 2


class TestChanges:
    @pytest.mark.parametrize(
        ("query", "sentence"),
        [
            pytest.param("", "rule owner: points 20 → 30", id="live to draft"),
            pytest.param("?from=1&to=2", "rule owner: points 10 → 20", id="two versions"),
            pytest.param("?from=draft&to=draft", "No difference", id="the same"),
        ],
    )
    def test_are_told_in_sentences(self, person: Any, smb: int, query: str, sentence: str) -> None:
        assert sentence in person.opens(f"/models/smb/changes{query}").text

    @pytest.mark.parametrize("query", ["?from=9", "?from=first", "?to=%C2%B2", "?from=99999999999999999999"])
    def test_of_what_is_not_there(self, person: Any, smb: int, query: str) -> None:
        assert person.opens(f"/models/smb/changes{query}").status_code == 404

    def test_of_a_draft_that_was_never_published(self, person: Any, tenant: SignedUp) -> None:
        service.create_model(tenant.tenant_id, text())
        assert "No difference" in person.opens("/models/smb/changes").text


class TestWayBack:
    def test_is_one_step(self, person: Any, smb: int) -> None:
        answer = person.sends("/models/smb/versions/1/rollback", on="/models/smb/versions/1")
        assert (answer.status_code, answer.location) == (303, "/models/smb")
        page = person.opens("/models/smb").text
        assert "Version 1 is live again" in page
        assert "Back to version" in page
        assert "Owners matter more" in page
        assert queries.get_model(smb, "smb").draft == text(30)

    def test_is_not_offered_for_what_is_live(self, person: Any, smb: int) -> None:
        assert "Go back to this version" in person.opens("/models/smb/versions/1").text
        assert "Go back to this version" not in person.opens("/models/smb/versions/2").text


class TestArchive:
    def test_and_back(self, person: Any, smb: int) -> None:
        assert person.sends("/models/smb/archive", on="/models/smb").location == "/models"
        page = person.opens("/models").text
        assert "Archived: 1 model" in page
        assert "Take back" in page
        assert ">Publish<" not in person.opens("/models/smb").text
        person.sends("/models/smb/restore", on="/models")
        assert "Taken back: version 2 is live." in person.opens("/models/smb").text

    def test_is_refused_while_others_ask(self, person: Any, smb: int) -> None:
        service.create_model(smb, ASKING)
        service.publish(smb, "child", by="Grace Example")
        person.sends("/models/smb/archive", on="/models/smb")
        assert "asks for the score of &#39;smb&#39;: &#39;child&#39;" in person.opens("/models/smb").text
        assert queries.get_model(smb, "smb").published_version == 2
        assert "/models/smb" in person.opens("/models/child/versions/1").text

    def test_taking_back_who_asks_an_archived_one_says_why_not(self, person: Any, smb: int) -> None:
        service.create_model(smb, ASKING)
        service.publish(smb, "child", by="Grace Example")
        for name in ("child", "smb"):
            service.archive(smb, name, by="Grace Example")
        person.sends("/models/child/restore", on="/models")
        assert "is archived, so it can&#39;t be asked" in person.opens("/models/child").text


def test_the_list_says_what_each_is_for(person: Any, smb: int) -> None:
    page = person.opens("/models").text
    assert "<b>Persona</b> Owner &lt;b&gt;of&lt;/b&gt; a bakery" in page


@pytest.mark.parametrize("deed", ["versions/1/rollback", "archive", "restore"])
def test_the_neighbours_models_are_not_there(
    person: Any, neighbour: SignedUp, deed: str, person_of: Callable[[SignedUp], Any]
) -> None:
    service.create_model(neighbour.tenant_id, text())
    service.publish(neighbour.tenant_id, "smb", by="Eve Example")
    assert person.sends(f"/models/smb/{deed}", on="/settings").status_code == 404
    assert person.opens("/models/smb/changes").status_code == 404
    assert queries.get_model(neighbour.tenant_id, "smb").published_version == 1
