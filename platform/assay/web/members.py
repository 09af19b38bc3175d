"""Who works here: members, invitations, roles."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from assay.web import attempts
from assay.web.forms import Form
from assay.web.visitors import ID, fresh, may, needs, verified, visitor
from assay_tenants.access import invitations, letters, members
from assay_tenants.errors import AssayError, BadInput, NotFound
from assay_tenants.models import Role
from assay_tenants.permissions import OF_ROLES

blueprint = Blueprint("members", __name__)


@blueprint.get("/settings/members")
@needs("members:read")
def index() -> ResponseReturnValue:
    return _page(Form())


@blueprint.post("/settings/members/invitations")
@verified
@needs("members:manage")
def invite() -> ResponseReturnValue:
    form = Form.read(request.form, needed={"email": "Fill in the address of whom you invite."})
    try:
        if form.errors:
            return _page(form), 422
        role = members.read_role(form["role"])
        attempts.count_invitation(visitor().person_id)
        invitations.invite(
            visitor().tenant_id,
            email=form["email"],
            role=role,
            by=visitor().name,
            by_id=visitor().person_id,
            may=OF_ROLES[visitor().role],
        )
    except AssayError as error:
        form.refuse(error)
        return _page(form), error.status, attempts.retry_after(error)
    flash(f"An invitation is on its way to {form['email']}. It is good for seven days.", "good")
    return redirect(url_for("web.members.index"), 303)


@blueprint.post(f"/settings/members/invitations/<{ID}:invitation_id>/send")
@verified
@needs("members:manage")
def send_again(invitation_id: int) -> ResponseReturnValue:
    attempts.count_invitation(visitor().person_id)
    sent = invitations.send_again(visitor().tenant_id, invitation_id, may=OF_ROLES[visitor().role])
    flash(f"A new invitation is on its way to {sent.email}; the link in the former one is void.", "good")
    return redirect(url_for("web.members.index"), 303)


@blueprint.post(f"/settings/members/invitations/<{ID}:invitation_id>/withdraw")
@needs("members:manage")
def withdraw(invitation_id: int) -> ResponseReturnValue:
    invitations.withdraw(visitor().tenant_id, invitation_id, may=OF_ROLES[visitor().role])
    flash("The invitation is withdrawn: its link opens nothing any more.", "good")
    return redirect(url_for("web.members.index"), 303)


@blueprint.post(f"/settings/members/<{ID}:person_id>/role")
@needs("members:manage")
@fresh
def change_role(person_id: int) -> ResponseReturnValue:
    try:
        changed = members.change_role(
            visitor().tenant_id,
            person_id,
            members.read_role(request.form.get("role", "")),
            may=OF_ROLES[visitor().role],
        )
    except NotFound:
        raise
    except AssayError as error:
        return _refused(error)
    flash(f"{changed.name} is {_with_article(changed.role)} now.", "good")
    if person_id == visitor().person_id and "members:read" not in OF_ROLES[changed.role]:
        return redirect(url_for("web.leads.index"), 303)
    return redirect(url_for("web.members.index"), 303)


@blueprint.post(f"/settings/members/<{ID}:person_id>/remove")
@needs("members:manage")
@fresh
def remove(person_id: int) -> ResponseReturnValue:
    try:
        if person_id == visitor().person_id:
            raise BadInput("To leave the company yourself, use your account's page.")
        members.remove_member(visitor().tenant_id, person_id, may=OF_ROLES[visitor().role])
    except NotFound:
        raise
    except AssayError as error:
        return _refused(error)
    flash("They are no longer a member; their sessions here have ended.", "good")
    return redirect(url_for("web.members.index"), 303)


@blueprint.post(f"/settings/members/<{ID}:person_id>/give-ownership")
@needs("tenant:manage")
@fresh
def give_ownership(person_id: int) -> ResponseReturnValue:
    try:
        members.transfer_ownership(visitor().tenant_id, giver_id=visitor().person_id, taker_id=person_id)
    except NotFound:
        raise
    except AssayError as error:
        return _refused(error)
    flash("The company has a new owner; you are an admin now.", "good")
    return redirect(url_for("web.members.index"), 303)


def _refused(error: AssayError) -> ResponseReturnValue:
    form = Form()
    form.errors[""] = error.message
    return _page(form), error.status


def _with_article(role: Role) -> str:
    return f"an {role}" if role[0] in "aeiou" else f"a {role}"


def _page(form: Form) -> str:
    tenant_id = visitor().tenant_id
    mine = OF_ROLES[visitor().role]
    return render_template(
        "members/index.html",
        form=form,
        members=members.list_members(tenant_id),
        invitations=invitations.list_invitations(tenant_id),
        roles=[role for role in members.ROLES if OF_ROLES[role] <= mine],
        in_words=letters.ROLES,
        may_manage=may("members:manage"),
        may_give=may("tenant:manage"),
    )
