"""Which services are connected, how each fares, and what can be: the pages under /connections."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from assay import connecting
from assay.connecting import Overview, catalogue
from assay.delivery import service as delivery
from assay.scoring import queries as scoring
from assay.syncing import service as syncing
from assay.web.security import public_address
from assay.web.visitors import ID, needs, visitor
from assay_sdk import Source
from assay_tenants.errors import BadInput, Conflict

blueprint = Blueprint("connections", __name__)

DEAD_PAGE = 25
#: Characters of an account's id: people know numbers and short names; longer ones they never saw.
READABLE_ACCOUNT = 12
#: What a person may have a connection do, by the word in its address, and what it is told then.
DEEDS: Mapping[str, tuple[Callable[[int, int], object], str]] = {
    "sync": (syncing.sync_now, "It is read now."),
    "pause": (syncing.pause, "Paused: nothing is read until you go on. What is posted to us is still kept."),
    "resume": (syncing.resume, "It goes on where it was."),
    "retry": (syncing.retry_dead, "What could not be fetched is tried again."),
    "complete": (connecting.complete, "It is set up. The first load has begun."),
    "send-all": (delivery.send_all, "Every lead's score is on its way."),
    "replay-dead": (delivery.replay_dead, "What was refused is sent again."),
    "dismiss-dead": (delivery.dismiss_dead, "Dismissed. A lead's score is sent again when it changes."),
}


@blueprint.app_template_filter()
def lasting(distance: timedelta) -> str:
    """A length of time in one unit, to the minute."""
    seconds = int(distance.total_seconds())
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if count := seconds // size:
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "under a minute"


@blueprint.get("/connections")
@needs("settings:read")
def index() -> ResponseReturnValue:
    overviews = connecting.list_overviews(visitor().tenant_id)
    ended = connecting.list_ended(visitor().tenant_id)
    return render_template(
        "connections/index.html",
        overviews=overviews,
        offers=catalogue.list_offers(),
        connected={each.connection.plugin for each in overviews},
        ended=ended,
        titles={each.plugin: catalogue.title_of(each.plugin) for each in ended},
        address=public_address(),
    )


@blueprint.get(f"/connections/<{ID}:connection_id>")
@needs("settings:read")
def show(connection_id: int) -> ResponseReturnValue:
    tenant_id = visitor().tenant_id
    target = request.headers.get("HX-Target", "")
    if target == "tr#more":
        return render_template("connections/dead.html", **_dead(connection_id))
    overview = connecting.overview(tenant_id, connection_id)
    if target == "div#health":
        return render_template("connections/health.html", overview=overview, by_hand=_is_by_hand(overview))
    dead = _dead(connection_id) if overview.push and overview.push.dead else {"dead": [], "more_dead": None}
    models = scoring.list_published(tenant_id) if overview.push else []
    return render_template(
        "connections/show.html",
        overview=overview,
        account=_account(overview),
        by_hand=_is_by_hand(overview),
        models=models,
        **dead,
    )


@blueprint.post(f"/connections/<{ID}:connection_id>/<any({', '.join(map(repr, DEEDS))}):deed>")
@needs("connections:manage")
def act(connection_id: int, deed: str) -> ResponseReturnValue:
    do, done = DEEDS[deed]
    return _done(connection_id, lambda: do(visitor().tenant_id, connection_id), done)


@blueprint.post(f"/connections/<{ID}:connection_id>/reload")
@needs("connections:manage")
def reload(connection_id: int) -> ResponseReturnValue:
    """One list from its beginning, or all of them."""
    stream = request.form.get("stream") or None
    return _done(
        connection_id,
        lambda: connecting.reload(visitor().tenant_id, connection_id, stream),
        "It is read from the beginning. What is known already is not doubled.",
    )


@blueprint.post(f"/connections/<{ID}:connection_id>/push")
@needs("connections:manage")
def change_push(connection_id: int) -> ResponseReturnValue:
    enabled, model = request.form.get("enabled") == "yes", request.form.get("model") or None
    return _done(
        connection_id,
        lambda: connecting.change_push(visitor().tenant_id, connection_id, enabled=enabled, model=model),
        "Scores go back from now on." if enabled else "No score goes back from now on.",
    )


def _done(connection_id: int, do: Callable[[], object], done: str) -> ResponseReturnValue:
    try:
        do()
    except (BadInput, Conflict) as error:
        flash(error.message, "bad")
    else:
        flash(done, "good")
    return redirect(url_for("web.connections.show", connection_id=connection_id), 303)


def _account(overview: Overview) -> str:
    """What tells two accounts apart; empty where that is the name already."""
    account, name = overview.connection.account, overview.connection.name
    return account if len(account) <= READABLE_ACCOUNT and account not in name else ""


def _is_by_hand(overview: Overview) -> bool:
    """Whether somebody has to enter at the vendor where it posts to: the plugin makes no subscription."""
    if overview.hooks is None or overview.hooks.shared_address:
        return False
    source = catalogue.get_service(overview.connection.plugin).source
    return source is not None and type(source).subscribe is Source.subscribe


def _dead(connection_id: int) -> dict[str, object]:
    found = connecting.list_dead(visitor().tenant_id, connection_id, cursor=request.args.get("cursor"), limit=DEAD_PAGE)
    more = None
    if found.next_cursor:
        more = url_for("web.connections.show", connection_id=connection_id, cursor=found.next_cursor)
    return {"dead": found.items, "more_dead": more}
