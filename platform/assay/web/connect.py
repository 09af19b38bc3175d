"""The way to a vendor and back, and what only whoever manages connections may do: none of it is an operator's."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from assay import connecting
from assay.connecting import catalogue, queries, service, settings_forms
from assay.connecting.errors import BadForm, ConnectError
from assay.connecting.settings_forms import FormField
from assay.web.forms import Form
from assay.web.security import public_address
from assay.web.visitors import ID, fresh, needs, personal, visitor
from assay_tenants import connections
from assay_tenants.connections import Changed, Connected
from assay_tenants.errors import BadInput, NotFound

blueprint = Blueprint("connect", __name__)

#: Under which a connection is shown; beside the names of the service's own fields.
NAME, VERSION = "connection_name", "connection_version"


@blueprint.get("/connections/connect/<plugin>")
@needs("connections:manage")
@personal
def page(plugin: str) -> ResponseReturnValue:
    return _page(catalogue.get_offer(plugin), Form())


@blueprint.post("/connections/connect/<plugin>")
@needs("connections:manage")
@personal
def begin(plugin: str) -> ResponseReturnValue:
    return _begin(catalogue.get_offer(plugin), None)


@blueprint.get("/connections/callback/<plugin>")
@needs("connections:manage")
@personal
def come_back(plugin: str) -> ResponseReturnValue:
    """What the browser brings is bound to whoever began, so that nobody is made to finish what another began."""
    offer = catalogue.get_offer(plugin)
    try:
        connection_id = service.finish(
            visitor().tenant_id, visitor().person_id, plugin, {name: request.args[name] for name in request.args}
        )
    except ConnectError as error:
        return render_template("connections/refused.html", offer=offer, sentence=error.message), error.status
    return _connected(connection_id)


@blueprint.get(f"/connections/<{ID}:connection_id>/reconnect")
@needs("connections:manage")
@personal
def reconnect_page(connection_id: int) -> ResponseReturnValue:
    connection = _get(connection_id)
    offer = catalogue.get_offer(connection.plugin)
    return _page(offer, _filled(connection), connection)


@blueprint.post(f"/connections/<{ID}:connection_id>/reconnect")
@needs("connections:manage")
@personal
def reconnect(connection_id: int) -> ResponseReturnValue:
    connection = _get(connection_id)
    return _begin(catalogue.get_offer(connection.plugin), connection)


@blueprint.get(f"/connections/<{ID}:connection_id>/settings")
@needs("connections:manage")
@personal
def settings_page(connection_id: int) -> ResponseReturnValue:
    connection = _get(connection_id)
    if connection.state == "disconnected":
        return _over(connection)
    return _settings(connection, _filled(connection))


@blueprint.post(f"/connections/<{ID}:connection_id>/settings")
@needs("connections:manage")
@personal
def change(connection_id: int) -> ResponseReturnValue:
    """Its name, and what was filled in when it was connected."""
    connection = _get(connection_id)
    if connection.state == "disconnected":
        return _over(connection)
    form = Form.read(request.form, needed={})
    version = _number(form[VERSION])
    if connection.state == "needs_reconnect" and (
        typed := _typed_secrets(catalogue.get_offer(connection.plugin), form)
    ):
        # They would be put beside an access that is refused anyway.
        form.errors = dict.fromkeys(typed, "Nothing was saved. Connect again, and fill this in there.")
        return _settings(connection, form), 409
    try:
        service.change(visitor().tenant_id, connection_id, form.values, name=form[NAME], version=version)
    except BadForm as error:
        form.errors = error.errors
        return _settings(connection, form), error.status
    except BadInput as error:
        form.errors[NAME if error.field == "name" else error.field or ""] = error.message
        return _settings(connection, form), error.status
    except Changed as error:
        return _changed_meanwhile(_get(connection_id), form), error.status
    flash("Saved. What is read from now on goes by it.", "good")
    return redirect(url_for("web.connections.show", connection_id=connection_id), 303)


@blueprint.post(f"/connections/<{ID}:connection_id>/address")
@needs("connections:manage")
@personal
@fresh
def show_address(connection_id: int) -> ResponseReturnValue:
    """On demand alone: whoever knows it can post to us as if they were the vendor."""
    address = service.show_address(visitor().tenant_id, connection_id)
    connection = _get(connection_id)
    title = catalogue.title_of(connection.plugin)
    return render_template("connections/address.html", connection=connection, title=title, address=address)


@blueprint.get(f"/connections/<{ID}:connection_id>/disconnect")
@needs("connections:manage")
@personal
def disconnect_page(connection_id: int) -> ResponseReturnValue:
    """What will happen, before it does."""
    connection = _get(connection_id)
    offer = catalogue.get_offer(connection.plugin) if _is_installed(connection.plugin) else None
    title = catalogue.title_of(connection.plugin)
    return render_template("connections/disconnect.html", connection=connection, offer=offer, title=title)


@blueprint.post(f"/connections/<{ID}:connection_id>/disconnect")
@needs("connections:manage")
@personal
def disconnect(connection_id: int) -> ResponseReturnValue:
    connection = _get(connection_id)
    left = service.disconnect(visitor().tenant_id, connection_id)
    flash(f"{connection.name} is disconnected, and our access to it is wiped. What it brought stays.", "good")
    for sentence in left:
        flash(sentence, "bad")
    return redirect(url_for("web.connections.index"), 303)


def _begin(offer: catalogue.Offer, connection: Connected | None) -> ResponseReturnValue:
    form = Form.read(request.form, needed={})
    try:
        begun = service.begin(
            visitor().tenant_id,
            visitor().person_id,
            offer.name,
            form.values,
            redirect_uri=public_address() + url_for("web.connect.come_back", plugin=offer.name),
            connection_id=connection.id if connection else None,
        )
    except BadForm as error:
        form.errors = error.errors
        return _page(offer, form, connection), error.status
    except (BadInput, ConnectError) as error:
        form.refuse(error)
        return _page(offer, form, connection), error.status
    if begun.url:
        # Not by a redirect: what a form leads to must be ours, so the page that answers it goes on by itself.
        return render_template("connections/going_on.html", address=begun.url, offer=offer)
    return _connected(begun.connection_id)


def _connected(connection_id: int) -> ResponseReturnValue:
    overview = connecting.overview(visitor().tenant_id, connection_id)
    if overview.condition == "loading":
        told = "The first load has begun; you can leave this page."
    elif overview.streams:
        told = "It goes on where it was."
    else:
        told = f"{overview.title} tells us when something happens."
    flash(f"{overview.connection.name} is connected. {told}", "good")
    return redirect(url_for("web.connections.show", connection_id=connection_id), 303)


def _get(connection_id: int) -> Connected:
    return connections.get_connection(visitor().tenant_id, connection_id)


def _is_installed(plugin: str) -> bool:
    try:
        catalogue.get_service(plugin)
    except NotFound:
        return False
    return True


def _filled(connection: Connected) -> Form:
    values = settings_forms.shown_values(catalogue.get_service(connection.plugin), connection.settings)
    return Form({**values, NAME: connection.name, VERSION: str(connection.version)})


def _page(offer: catalogue.Offer, form: Form, connection: Connected | None = None) -> str:
    _ask_for_secrets_again(offer, form)
    return render_template(
        "connections/connect.html",
        offer=offer,
        form=form,
        connection=connection,
        held=_held(connection) if connection else set(),
        fresh_form=request.method == "GET" and connection is None,
        redirect_uri=public_address() + url_for("web.connect.come_back", plugin=offer.name),
    )


def _settings(connection: Connected, form: Form, *, conflict: bool = False) -> str:
    offer = catalogue.get_offer(connection.plugin)
    _ask_for_secrets_again(offer, form)
    return render_template(
        "connections/settings.html",
        connection=connection,
        offer=offer,
        form=form,
        held=_held(connection),
        conflict=conflict,
    )


def _changed_meanwhile(connection: Connected, form: Form) -> str:
    """What was typed stays, beside what is stored now: saved once more, it is a change of that."""
    kept = _filled(connection)
    form.values[VERSION] = kept[VERSION]
    if form[NAME] != kept[NAME]:
        form.errors[NAME] = f"Stored now: {kept[NAME]}"
    for each in catalogue.get_offer(connection.plugin).fields:
        # The same lines come back from a browser with other ends.
        if not each.secret and form[each.name].splitlines() != kept[each.name].splitlines():
            form.errors[each.name] = f"Stored now: {_in_words(each, kept[each.name])}"
    return _settings(connection, form, conflict=True)


def _in_words(field: FormField, value: str) -> str:
    if field.kind == "check":
        return "ticked" if value else "not ticked"
    return dict(field.choices).get(value) or " · ".join(value.splitlines()) or "nothing"


def _ask_for_secrets_again(offer: catalogue.Offer, form: Form) -> None:
    """They never come back with a page: whoever mended another field would take them for saved."""
    for name in _typed_secrets(offer, form):
        form.errors.setdefault(name, "Type this once more: it is not saved yet, and is never shown.")


def _typed_secrets(offer: catalogue.Offer, form: Form) -> list[str]:
    return [each.name for each in offer.fields if each.secret and form[each.name]]


def _over(connection: Connected) -> ResponseReturnValue:
    flash(f"{connection.name} is disconnected and has no settings any more. Nothing was changed.", "bad")
    return redirect(url_for("web.connections.show", connection_id=connection.id), 303)


def _held(connection: Connected) -> set[str]:
    """The names of the secrets that it has."""
    return {name for name, value in queries.secrets_of(visitor().tenant_id, connection.id).items() if value}


def _number(typed: str) -> int:
    return int(typed) if typed.isascii() and typed.isdecimal() and len(typed) < 10 else 0
