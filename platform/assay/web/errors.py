"""Error pages in the clothes of the house."""

import structlog
from flask import Blueprint, Flask, Response, flash, g, make_response, redirect, render_template, request, url_for
from flask_wtf.csrf import CSRFError  # type: ignore[import-untyped] # published without types
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, InternalServerError

from assay.arrivals import note_refusal
from assay.profiles.merges import LeadGone
from assay.web.security import add_headers
from assay.web.visitors import recognise, to_log_in
from assay_tenants.errors import AssayError, Forbidden, NotSignedIn, TooManyAttempts

log = structlog.get_logger()

TITLES = {
    400: "That request made no sense to us",
    403: "This is not yours to open",
    404: "Nothing here",
    405: "Nothing here",
    409: "Somebody was faster",
    410: "This is over",
    413: "That file is too big",
    415: "We can't read that kind of file",
    422: "Something in it is wrong",
    429: "A little slower, please",
    500: "Something broke on our side",
    503: "We will be back in a moment",
}
SENTENCES = {
    400: "Go back, load the page again and try once more.",
    403: "Ask an owner of your account to let you in.",
    404: "The page does not exist, or it belongs to someone else.",
    405: "The page does not exist, or it belongs to someone else.",
    413: "Split it into smaller files and send them one after the other.",
    429: "Wait a few seconds, then try again.",
    500: "It has been written down. Nothing that was accepted is lost.",
    503: "Your data is safe and senders will try again by themselves.",
}


def error_page(status: int, sentence: str | None = None, *, headers: dict[str, str] | None = None) -> Response:
    """For any door that has to answer a person."""
    title = TITLES.get(status, TITLES[400 if status < 500 else 500])
    text = sentence or SENTENCES.get(status, SENTENCES[400 if status < 500 else 500])
    response = make_response(render_template("error.html", status=status, title=title, sentence=text), status)
    response.headers.update(headers or {})
    return response


def handle(blueprint: Blueprint) -> None:
    for away in (OperationalError, PoolTimeout):
        blueprint.register_error_handler(away, _database_away)
    blueprint.register_error_handler(AssayError, _refused)
    blueprint.register_error_handler(CSRFError, _stale_form)
    blueprint.register_error_handler(HTTPException, _http)
    blueprint.register_error_handler(InternalServerError, _broken)


def answer_for_unknown_pages(app: Flask) -> None:
    """Addresses that belong to no door are a person's typing error."""
    app.register_error_handler(404, _unknown_page)
    app.register_error_handler(405, _unknown_page)


def _unknown_page(error: HTTPException) -> Response:
    try:
        recognise()
    except (OperationalError, PoolTimeout) as away:
        return add_headers(_database_away(away))
    return add_headers(_http(error))


def _database_away(error: OperationalError | PoolTimeout) -> Response:
    log.warning("web.database_away", error=str(error))
    return error_page(503, headers={"Retry-After": "5"})


def _refused(error: AssayError) -> Response:
    if isinstance(error, NotSignedIn):
        return to_log_in()
    if isinstance(error, Forbidden):
        note_refusal(error, g.visitor.tenant_id if g.get("visitor") else None)
    if isinstance(error, LeadGone) and error.merged_into is not None and request.method == "GET":
        return _follow(error.merged_into)
    headers = {"Retry-After": str(int(error.after.total_seconds()))} if isinstance(error, TooManyAttempts) else {}
    return error_page(error.status, error.message, headers=headers)


def _follow(lead_id: int) -> Response:
    """Addresses of leads are kept in other systems: they lead on to whom the lead turned out to be."""
    flash("The lead you asked for turned out to be this one.", "good")
    arguments = {**(request.view_args or {}), **request.args, "lead_id": lead_id}
    return make_response(redirect(url_for(request.endpoint or "web.leads.lead", **arguments)))


def _stale_form(error: CSRFError) -> Response:
    log.warning("web.form_refused", reason=error.description, path=request.path, address=request.remote_addr)
    return error_page(400, "The form was open too long, or came from another site. Load the page again and resend it.")


def _http(error: HTTPException) -> Response:
    if error.response is not None or error.code is None or error.code < 400:
        return make_response(error.get_response())
    return error_page(error.code)


def _broken(_: InternalServerError) -> Response:
    return error_page(500)
