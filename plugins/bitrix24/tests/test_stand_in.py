"""The stand-in by itself: a working day, and events that are sent once."""

from datetime import timedelta

import httpx

from assay_bitrix24.service import Bitrix24
from assay_bitrix24.simulator import Bitrix24Simulator
from assay_sdk import Fetch, Link, Message
from assay_sdk.testing import SetClock

#: Port 9 is never called: nobody answers there.
NOBODY = "http://127.0.0.1:9/hooks/bitrix24/c1"


def test_a_working_day_posts_each_event_once_whatever_becomes_of_it(
    service: Bitrix24, link: Link, simulator: Bitrix24Simulator, clock: SetClock
) -> None:
    simulator.fill(40)
    service.source.subscribe(link, NOBODY)
    for _ in range(40):
        clock.turn(timedelta(minutes=10))
        simulator.live()
    assert len(simulator.posted) >= 15
    assert {posted.status for posted in simulator.posted} == {0}
    assert not simulator.portal.outbox
    told = [
        record
        for posted in simulator.posted
        for record in service.source.normalise(Message("hook", posted.body, clock.now()))
    ]
    assert all(isinstance(record, Fetch) for record in told)
    assert {record.kind for record in told} >= {"lead", "activity", "deal"}
    # The portal's own automation sends no tokens of anybody's.
    assert {b"access_token" in posted.body for posted in simulator.posted} == {True, False}


def test_refusing_leads_nowhere(simulator: Bitrix24Simulator) -> None:
    address = f"{simulator.address}/oauth/authorize/?client_id={simulator.client_id}&state=s"
    answer = httpx.post(address, data={"deny": "yes"})
    assert (answer.status_code, "Location" in answer.headers) == (200, False)


def test_a_portal_takes_no_token_of_another(link: Link, simulator: Bitrix24Simulator) -> None:
    given = {"auth": simulator.somebodys_token()}
    assert httpx.post(f"{simulator.address}/portal-1/rest/app.info", json=given).status_code == 200
    assert httpx.post(f"{simulator.address}/portal-2/rest/app.info", json=given).status_code == 401
