"""Messages that came in and could not be understood: which, why, and as they came; read again or dismissed."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError

from assay.intake.queries import find_message
from assay.normalise import queries, replaying
from assay.normalise.models import Action, DeadLetter, LetterRound
from assay.normalise.queries import Wanted
from assay.normalise.replaying import MessageGone
from assay.profiles.marks import marks_of
from assay.profiles.masking import masked_excerpt, refuse_hidden
from assay.web.raw_views import raw_view
from assay.web.visitors import ID, needs, visitor
from assay_tenants.errors import BadInput, Conflict, NotFound

blueprint = Blueprint("refused", __name__)

PAGE = 25
ROUNDS = 5
#: The bar counts no further: a page must not wait for a million of them.
MOST_SHOWN = 99
ADDRESS = "/settings/refused-messages"
#: So long a finished round is told of.
RECENT = timedelta(minutes=10)
_FILTERS = ("kind", "source", "since", "until")


def count_shown() -> str:
    """For the bar, such as 12 or 99+; empty when there are none."""
    if g.get("visitor") is None:
        return ""
    try:
        count = queries.count_dead_letters(visitor().tenant_id, most=MOST_SHOWN + 1)
    except SQLAlchemyError:
        # The page that says so has a bar too.
        return ""
    return "" if not count else f"{MOST_SHOWN}+" if count > MOST_SHOWN else str(count)


@blueprint.get(ADDRESS)
@needs("settings:read")
def index() -> ResponseReturnValue:
    tenant_id = visitor().tenant_id
    chosen: dict[str, Any] = {name: request.args[name] for name in _FILTERS if request.args.get(name)}
    cursor = request.args.get("cursor") or None
    found = queries.list_dead_letters(tenant_id, PAGE, cursor=cursor, wanted=_wanted(chosen))
    shown = {
        "letters": found.letters,
        "marks": marks_of(tenant_id),
        "masked_excerpt": masked_excerpt,
        "more": url_for("web.refused.index", **chosen, cursor=found.next_cursor) if found.next_cursor else None,
    }
    if request.headers.get("HX-Target") == "li#more":
        return render_template("parts/refused_messages.html", **shown)
    return render_template(
        "settings/refused.html",
        **shown,
        kinds=queries.list_kinds(tenant_id),
        sources=queries.source_names(tenant_id),
        rounds=_rounds(),
        chosen=chosen,
    )


@blueprint.get(f"{ADDRESS}/rounds")
@needs("settings:read")
def rounds() -> ResponseReturnValue:
    return render_template("parts/refused_rounds.html", rounds=_rounds())


@blueprint.get(f"{ADDRESS}/<uuid:message_id>")
@needs("settings:read")
def show(message_id: UUID) -> ResponseReturnValue:
    tenant_id = visitor().tenant_id
    letters = _letters_of(message_id)
    message = find_message(tenant_id, message_id)
    marks = marks_of(tenant_id)
    return render_template(
        "settings/refused_message.html",
        letters=letters,
        message=message,
        raw=raw_view(message.body, marks) if message else None,
        marks=marks,
        masked_excerpt=masked_excerpt,
        source=queries.source_names(tenant_id).get(letters[0].source_id),
    )


@blueprint.get(f"{ADDRESS}/<uuid:message_id>/raw")
@needs("settings:read")
def download(message_id: UUID) -> ResponseReturnValue:
    _letters_of(message_id)
    message = find_message(visitor().tenant_id, message_id)
    if message is None:
        raise MessageGone
    refuse_hidden(message.body, marks_of(visitor().tenant_id))
    return Response(
        message.body,
        content_type="application/octet-stream",
        headers={
            "Content-Disposition": f'attachment; filename="message-{message_id}.bin"',
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "Cache-Control": "no-store",
        },
    )


@blueprint.post(f"{ADDRESS}/<uuid:message_id>/replay")
@needs("settings:write")
def replay(message_id: UUID) -> ResponseReturnValue:
    replaying.replay_message(visitor().tenant_id, message_id, by=visitor().name)
    flash("The message is read again. What is still wrong with it comes back to this list.", "good")
    return redirect(url_for("web.refused.index"), 303)


@blueprint.post(f"{ADDRESS}/<uuid:message_id>/dismiss")
@needs("settings:write")
def dismiss(message_id: UUID) -> ResponseReturnValue:
    replaying.dismiss_message(visitor().tenant_id, message_id, by=visitor().name)
    flash("Dismissed: the message is off this list.", "good")
    return redirect(url_for("web.refused.index"), 303)


@blueprint.post(f"{ADDRESS}/replay")
@needs("settings:write")
def replay_kind() -> ResponseReturnValue:
    return _start("replay")


@blueprint.post(f"{ADDRESS}/dismiss")
@needs("settings:write")
def dismiss_kind() -> ResponseReturnValue:
    return _start("dismiss")


@blueprint.post(f"{ADDRESS}/rounds/<{ID}:round_id>/cancel")
@needs("settings:write")
def cancel(round_id: int) -> ResponseReturnValue:
    # It was over meanwhile: the page says how it is.
    with suppress(Conflict):
        replaying.cancel(visitor().tenant_id, round_id)
    return redirect(url_for("web.refused.index"), 303)


def _start(action: Action) -> ResponseReturnValue:
    kind = request.form.get("kind", "")
    if not kind:
        raise BadInput("Say which kind of refused messages.", field="kind")
    try:
        replaying.start(visitor().tenant_id, action, by=visitor().name, kind=kind)
    except NotFound:
        flash("There are none of this kind any more.", "good")
    return redirect(url_for("web.refused.index"), 303)


def _letters_of(message_id: UUID) -> list[DeadLetter]:
    letters = queries.dead_letters_of(visitor().tenant_id, message_id)
    if not letters:
        raise NotFound("refused message")
    return letters


def _rounds() -> list[LetterRound]:
    """Those under way, and those of the last minutes."""
    now = datetime.now(UTC)
    found = queries.list_rounds(visitor().tenant_id, ROUNDS)
    return [row for row in found if row.finished_at is None or now - row.finished_at < RECENT]


def _wanted(chosen: dict[str, Any]) -> Wanted:
    source = chosen.get("source", "")
    if source and not (source.isascii() and source.isdigit() and len(source) < 19):
        raise BadInput("The source is chosen from the list.", field="source")
    until = _day(chosen, "until")
    return Wanted(
        kind=chosen.get("kind"),
        source_id=int(source) if source else None,
        since=_day(chosen, "since"),
        until=until + timedelta(days=1) if until else None,
    )


def _day(chosen: dict[str, Any], name: str) -> datetime | None:
    """The first instant of a day, in UTC."""
    text = chosen.get(name)
    if not text:
        return None
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise BadInput(f"{text[:40]!r} is not a day such as 2026-03-01.", field=name) from None
    if not 1970 <= day.year <= 2200:
        raise BadInput("A day from 1970 to 2200 is accepted.", field=name)
    return day
