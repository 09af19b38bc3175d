"""What plugins say beyond leads and events, in the terms that leads are made of."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from assay.normalise import ErasureWish, find_fault
from assay.normalise.translating import gone_from, in_our_terms
from assay_sdk import Deletion, Event, Fetch, Identifiers, Identify, Outcome, Record, Restoration

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANN = Identifiers(vendor={"crm": "51"}, email="ann@acme.example.test")


@pytest.mark.parametrize(
    ("said", "means"),
    [
        pytest.param(
            Outcome(ANN, "won", "d1", AT, Decimal("12.50"), "EUR", {"pipeline": "new"}),
            Event(
                ANN,
                "deal.won",
                {"pipeline": "new", "deal_id": "d1", "amount": 12.5, "currency": "EUR"},
                AT,
                "won/d1/51",
            ),
            id="a deal that was won",
        ),
        pytest.param(
            Outcome(Identifiers(email="bob@acme.example.test"), "lost", "d1", AT),
            Event(
                Identifiers(email="bob@acme.example.test"),
                "deal.lost",
                {"deal_id": "d1"},
                AT,
                "lost/d1/bob@acme.example.test",
            ),
            id="a deal that was lost, of somebody with an address alone",
        ),
        pytest.param(Deletion(ANN, "crm", AT), Identify(ANN, {"deleted_in.crm": True}, AT), id="deleted"),
        pytest.param(Restoration(ANN, "crm", AT), Identify(ANN, {"deleted_in.crm": None}, AT), id="restored"),
        pytest.param(
            Deletion(ANN, "crm", AT, erased=True), ErasureWish(ANN, {"deleted_in.crm": True}, AT), id="to be erased"
        ),
        pytest.param(Fetch("deal", "7"), Fetch("deal", "7"), id="to be fetched"),
    ],
)
def test_each_is_told_in_our_terms(said: Record, means: object) -> None:
    assert in_our_terms(said) == means
    assert type(in_our_terms(said)) is type(means)


def test_the_trait_of_a_deletion_can_be_kept() -> None:
    told = in_our_terms(Deletion(ANN, "a-vendor", AT))
    assert not isinstance(told, Fetch)
    assert find_fault(told, received_at=AT) is None
    assert gone_from("a-vendor") == "deleted_in.a-vendor"
