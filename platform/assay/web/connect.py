"""The way to a vendor and back, and what only whoever manages connections may do: none of it is an operator's."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from assay import connecting
from assay.connecting import catalogue, service, settings_forms
from assay.connecting.errors import BadForm, ConnectError
from assay.web.forms import Form
from assay.web.security import public_address
from assay.web.visitors import ID, fresh, needs, personal, visitor
from assay_tenants import connections
from assay_tenants.connections import Connected
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
    return _settings(connection, _filled(connection))


@blueprint.post(f"/connections/<{ID}:connection_id>/settings")
@needs("connections:manage")
@personal
def change(connection_id: int) -> ResponseReturnValue:
    """Its name, and what was filled in when it was connected."""
    connection = _get(connection_id)
    form = Form.read(request.form, needed={})
    version = _number(form[VERSION])
    try:
        service.change(visitor().tenant_id, connection_id, form.values, name=form[NAME], version=version)
    except BadForm as error:
        form.errors = error.errors
        return _settings(connection, form), error.status
    except BadInput as error:
        form.errors[NAME if error.field == "name" else error.field or ""] = error.message
        return _settings(connection, form), error.status
    flash("Saved. What is read from now on goes by it.", "good")
    return redirect(url_for("web.connections.show", connection_id=connection_id), 303)


@blueprint.post(f"/connections/<{ID}:connection_id>/address")
@needs("connections:manage")
@personal
@fresh
def show_address(connection_id: int) -> ResponseReturnValue:
    """On demand alone: whoever knows it can post to us as if they were the vendor."""
    address = service.show_address(visitor().tenant_id, connection_id)
    return render_template("connections/address.html", connection=_get(connection_id), address=address)


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
    return render_template(
        "connections/connect.html",
        offer=offer,
        form=form,
        connection=connection,
        fresh_form=request.method == "GET" and connection is None,
        redirect_uri=public_address() + url_for("web.connect.come_back", plugin=offer.name),
    )


def _settings(connection: Connected, form: Form) -> str:
    offer = catalogue.get_offer(connection.plugin)
    return render_template("connections/settings.html", connection=connection, offer=offer, form=form)


def _number(typed: str) -> int:
    return int(typed) if typed.isascii() and typed.isdecimal() and len(typed) < 10 else 0
