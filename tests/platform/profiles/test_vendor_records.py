"""Deals that end, and contacts that are deleted and come back, whatever the order in which it is heard of."""

from datetime import timedelta
from itertools import permutations

import pytest

from assay.normalise.translating import in_our_terms
from assay.scoring import service, studies
from assay.scoring.studies.options import start_replay
from assay.scoring.studies.service import drain_studies
from assay_sdk import Deletion, Event, Identifiers, Identify, Outcome, Restoration

ANN = Identifiers(vendor={"crm": "51"})
TRAIT = "deleted_in.crm"


def traits(world):
    ((_, lead),) = world.state().items()
    return lead["traits"]


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_the_latest_of_deletions_and_restorations_stands(world, minutes, order) -> None:
    story = [
        Deletion(ANN, "crm", minutes(1)),
        Restoration(ANN, "crm", minutes(2)),
        Deletion(ANN, "crm", minutes(3)),
    ]
    for place in order:
        world.apply(in_our_terms(story[place]))
    assert traits(world)[TRAIT] is True
    world.apply(in_our_terms(Restoration(ANN, "crm", minutes(4))))
    assert traits(world).get(TRAIT) is None


def test_deleted_at_one_vendor_it_is_still_at_the_other(world, minutes) -> None:
    world.apply(in_our_terms(Deletion(ANN, "crm", minutes(1))))
    world.apply(Identify(Identifiers(vendor={"crm": "51", "desk": "7"}), {}, minutes(2)))
    assert {name: value for name, value in traits(world).items() if name.startswith("deleted_in.")} == {TRAIT: True}


def test_a_deal_counts_once_for_each_of_its_people(world, minutes) -> None:
    bob = Identifiers(vendor={"crm": "52"})
    for _ in range(2):
        world.apply(*(in_our_terms(Outcome(ids, "won", "d1", minutes(1))) for ids in (ANN, bob)))
    found = world.rows("SELECT type, sender_id FROM profiles.events WHERE tenant_id = :t ORDER BY sender_id")
    assert [(row.type, row.sender_id) for row in found] == [("deal.won", "won/d1/51"), ("deal.won", "won/d1/52")]


def test_models_are_measured_against_deals(world, minutes, model_text) -> None:
    service.create_model(world.tenant_id, model_text())
    day = timedelta(days=1)
    world.apply(
        Identify(ANN, {"title": "CFO"}, minutes(0)),
        in_our_terms(Outcome(ANN, "won", "d1", minutes(0) + 3 * day)),
        Event(Identifiers(vendor={"crm": "52"}), "page.viewed", {}, minutes(0), "e1"),
    )
    world.rows("UPDATE profiles.leads SET known_at = first_seen_at WHERE tenant_id = :t RETURNING 1")
    world.rows("UPDATE profiles.identities SET known_at = first_seen_at WHERE tenant_id = :t RETURNING 1")
    world.rows("UPDATE profiles.events SET known_at = occurred_at WHERE tenant_id = :t RETURNING 1")
    chosen = studies.ReplayChoice(
        since=minutes(0) + day / 2, until=minutes(0) + 4 * day, every=day, won="deal.won", days_before=2
    )
    id_ = start_replay(world.tenant_id, "sample", chosen, by="Ada")
    while drain_studies(world.tenant_id):
        pass
    study = studies.get_study(world.tenant_id, "sample", "replay", id_)
    assert study.result is not None, study.error
    (outcome,) = study.result["outcomes"]
    assert (outcome["leads"], outcome["not_known"]) == (1, 0)
    assert {row["place"]: row["draft"] for row in outcome["stood"]} == {"stage:Prospect": 1}
