"""Each route that writes leaves an entry in the audit log, or stands here with the reason why it leaves none."""

from typing import Any

import pytest
from flask import Flask

from assay.audit_words import SENTENCES
from assay_tenants.audit.queries import Wanted, list_entries

READ_ONLY = frozenset(("GET", "HEAD", "OPTIONS"))

#: By endpoint, what it is recorded as; whatever the same verb does over the API is recorded by the verb itself.
RECORDED = {
    "Connections.change_push": "delivery.changed",
    "Connections.disconnect": "connection.disconnected",
    "Connections.dismiss_dead": "delivery.dead_dismissed",
    "Connections.pause": "connection.paused",
    "Connections.reload": "connection.reloaded",
    "Connections.replay_dead": "delivery.dead_replayed",
    "Connections.resume": "connection.resumed",
    "Connections.send_all": "delivery.repeated",
    "Connections.sync": "connection.synced",
    "Dead letters.cancel_round": "dead_letters.stopped",
    "Dead letters.dismiss_kind": "dead_letters.dismissed",
    "Dead letters.dismiss_message": "dead_letters.dismissed",
    "Dead letters.replay_kind": "dead_letters.replayed",
    "Dead letters.replay_message": "dead_letters.replayed",
    "Fields.change_fields": "fields.kept_out",
    "Imports.cancel": "import.cancelled",
    "Imports.pause": "import.paused",
    "Imports.resume": "import.resumed",
    "Imports.start": "import.started",
    "Imports.start_import": "import.sent",
    "Imports.undo": "import.undone",
    "API keys.issue_key": "key.issued",
    "API keys.revoke_key": "key.revoked",
    "API keys.rotate_key": "key.rotated",
    "Judgements.record_judgement": "judgement.given",
    "Judgements.withdraw_judgement": "judgement.withdrawn",
    "Members.change_role": "member.role_changed",
    "Members.invite": "member.invited",
    "Members.remove_member": "member.removed",
    "Members.send_again": "member.invited_again",
    "Members.withdraw": "member.invitation_withdrawn",
    "Models.archive_model": "model.archived",
    "Models.create_model": "model.created",
    "Models.publish_model": "model.published",
    "Models.restore_model": "model.restored",
    "Models.roll_back": "model.rolled_back",
    "Models.save_draft": "draft.saved",
    "Persons' data.lift": "person.erasure_lifted",
    "Persons' data.look_again": "person.erasure_repeated",
    "Persons' data.request_erasure": "person.erasure_requested",
    "Rescores.cancel_rescore": "rescore.stopped",
    "Rescores.resume_rescore": "rescore.resumed",
    "Retention.change": "retention.changed",
    "Who is whom.forget_rule": "value_rule.forgotten",
    "Who is whom.join": "leads.joined",
    "Who is whom.make_rule": "value_rule.made",
    "Who is whom.tell_apart": "lead.told_apart",
    "Who is whom.undo_merge": "merge.undone",
    "Who is whom.withdraw_decision": "decision.withdrawn",
    "web.access.accept_invitation": "member.joined",
    "web.access.log_in": "login.succeeded",
    "web.access.log_out": "session.ended",
    "web.access.new_company": "tenant.created",
    "web.access.sign_up": "tenant.created",
    "web.access.switch": "login.succeeded",
    "web.account.change_address": "email.change_asked",
    "web.account.change_name": "member.renamed",
    "web.account.change_password": "password.changed",
    "web.account.end_others": "session.revoked",
    "web.account.end_session": "session.revoked",
    "web.account.leave_company": "member.left",
    "web.apps.change": "app.changed",
    "web.apps.make_registration_token": "registration_token.made",
    "web.apps.register": "app.registered",
    "web.apps.remove": "app.removed",
    "web.apps.revoke": "grant.revoked",
    "web.apps.revoke_own": "grant.revoked",
    "web.apps.revoke_registration_token": "registration_token.revoked",
    "web.apps.revoke_secret": "app.secret_revoked",
    "web.apps.rotate": "app.secret_rotated",
    "web.apps.uninstall": "app.uninstalled",
    "web.clients.issue": "key.issued",
    "web.clients.revoke": "key.revoked",
    "web.clients.rotate": "key.rotated",
    "web.connect.begin": "connection.created",
    "web.connect.change": "connection.changed",
    "web.connect.disconnect": "connection.disconnected",
    "web.connect.reconnect": "connection.reconnected",
    "web.connect.show_address": "connection.address_shown",
    "web.connections.act": "connection.synced",
    "web.connections.change_push": "delivery.changed",
    "web.connections.reload": "connection.reloaded",
    "web.factors.add_passkey": "second_factor.added",
    "web.factors.confirm_app": "second_factor.added",
    "web.factors.make_codes": "recovery_codes.made",
    "web.factors.remove_app": "second_factor.removed",
    "web.factors.remove_passkey": "second_factor.removed",
    "web.factors.rename_passkey": "second_factor.renamed",
    "web.fields.mark": "fields.kept_out",
    "web.fields.unmark": "fields.kept_out",
    "web.fields.watch": "signals.changed",
    "web.imports.act": "import.started",
    "web.imports.announce": "import.sent",
    "web.imports.start": "import.sent",
    "web.judgements.record": "judgement.given",
    "web.judgements.withdraw": "judgement.withdrawn",
    "web.leads.reveal": "lead.revealed",
    "web.login_rules.change": "login_rule.changed",
    "web.login_rules.reset": "second_factors.reset",
    "web.members.change_role": "member.role_changed",
    "web.members.give_ownership": "member.role_changed",
    "web.members.invite": "member.invited",
    "web.members.remove": "member.removed",
    "web.members.send_again": "member.invited_again",
    "web.members.withdraw": "member.invitation_withdrawn",
    "web.merges.forget": "value_rule.forgotten",
    "web.merges.join": "leads.joined",
    "web.merges.say": "value_rule.made",
    "web.merges.tell_apart": "lead.told_apart",
    "web.merges.undo": "merge.undone",
    "web.merges.withdraw": "decision.withdrawn",
    "web.models.create": "model.created",
    "web.models.publish": "model.published",
    "web.models.save": "draft.saved",
    "web.operators.allow": "operator.allowed",
    "web.operators.change_rule": "operator_rule.changed",
    "web.operators.end": "operator.ended",
    "web.operators.enter_access": "operator.entered",
    "web.operators.leave_access": "operator.ended",
    "web.privacy.erase": "person.erasure_requested",
    "web.privacy.export": "person.exported",
    "web.privacy.lift": "person.erasure_lifted",
    "web.privacy.look_again": "person.erasure_repeated",
    "web.recovery.forgotten": "password.reset_asked",
    "web.recovery.reset": "password.reset",
    "web.recovery.verify": "email.verified",
    "web.refused.cancel": "dead_letters.stopped",
    "web.refused.dismiss": "dead_letters.dismissed",
    "web.refused.dismiss_kind": "dead_letters.dismissed",
    "web.refused.replay": "dead_letters.replayed",
    "web.refused.replay_kind": "dead_letters.replayed",
    "web.rescores.cancel": "rescore.stopped",
    "web.rescores.resume": "rescore.resumed",
    "web.retention.change": "retention.changed",
    "web.second_step.log_in_by_passkey": "login.succeeded",
    "web.second_step.prove": "login.succeeded",
    "web.settings.issue": "key.issued",
    "web.settings.restrict": "key.restricted",
    "web.settings.revoke": "key.revoked",
    "web.settings.rotate": "key.rotated",
    "web.sso.claim": "sso_domain.claimed",
    "web.sso.enforce": "sso.enforced",
    "web.sso.issue_token": "scim_token.made",
    "web.sso.relax": "sso.relaxed",
    "web.sso.remove": "sso.removed",
    "web.sso.forget_domain": "sso_domain.removed",
    "web.sso.revoke_token": "scim_token.revoked",
    "web.sso.rotate_token": "scim_token.rotated",
    "web.sso.save": "sso.configured",
    "web.sso.verify": "sso_domain.verified",
    "web.usage.change": "plan.changed",
    "web.versions.archive": "model.archived",
    "web.versions.restore": "model.restored",
    "web.versions.roll_back": "model.rolled_back",
}
KEEPS_NOTHING = "looks, and keeps nothing of the tenant's configuration"
SENDS = "is the traffic itself: what comes in is kept raw, with the key that sent it"
A_PART = "is a part of an import whose sending and start are recorded"
A_QUESTION = "is a question asked on the way to a change that is recorded"
REASONS = {
    "Events.send_events": SENDS,
    "Upserts.state_leads": SENDS,
    "Imports.append": A_PART,
    "Imports.check": KEEPS_NOTHING,
    "Imports.put_mapping": A_PART,
    "Models.validate_model": KEEPS_NOTHING,
    "Previews.cancel_preview": KEEPS_NOTHING,
    "Previews.cancel_replay": KEEPS_NOTHING,
    "Previews.start_preview": KEEPS_NOTHING,
    "Previews.start_replay": KEEPS_NOTHING,
    "Persons' data.find": KEEPS_NOTHING,
    "Templates.render_template": KEEPS_NOTHING,
    "web.account.confirm": A_QUESTION,
    "web.factors.passkey_options": A_QUESTION,
    "web.factors.show_one": A_QUESTION,
    "web.factors.start_app": A_QUESTION,
    "web.imports.append": A_PART,
    "web.imports.put_mapping": A_PART,
    "web.models.check": KEEPS_NOTHING,
    "web.models.preview": KEEPS_NOTHING,
    "web.previews.cancel": KEEPS_NOTHING,
    "web.previews.cancel_replay": KEEPS_NOTHING,
    "web.previews.start": KEEPS_NOTHING,
    "web.previews.start_replay": KEEPS_NOTHING,
    "web.privacy.find": KEEPS_NOTHING,
    "web.recovery.send_verification": A_QUESTION,
    "web.second_step.passkey_options": A_QUESTION,
    "web.sso.log_in": "sends to the provider, and the login that follows is recorded",
    "web.second_step.sole_passkey_options": A_QUESTION,
}


def writing(app: Flask) -> set[str]:
    return {
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if (rule.methods or set()) - READ_ONLY and (rule.endpoint.startswith("web.") or rule.rule.startswith("/api/"))
    }


def test_each_writing_route_is_recorded_or_says_why_not(app: Flask) -> None:
    listed = RECORDED.keys() | REASONS.keys()
    assert sorted(writing(app) - listed) == [], "say what each is recorded as, or why it is not"
    assert sorted(listed - writing(app)) == [], "there is no such route any more"
    assert sorted(RECORDED.keys() & REASONS.keys()) == []
    assert sorted(set(RECORDED.values()) - SENTENCES.keys()) == []


MODEL = "{model: secret-model, rules: [{id: a, on: page.viewed, points: 2}]}"
YAML: dict[str, Any] = {"headers": {"Content-Type": "application/yaml"}}

#: Called one after the other for one tenant, each with the entry that it leaves.
CALLS: list[tuple[str, str, dict[str, Any], str]] = [
    ("PUT", "/models/{model}/draft", {"data": MODEL, **YAML}, "draft.saved"),
    ("POST", "/models/{model}/publish", {}, "model.published"),
    ("POST", "/models/{model}/versions/1/rollback", {}, "model.rolled_back"),
    ("POST", "/models/{model}/archive", {}, "model.archived"),
    ("POST", "/models/{model}/restore", {}, "model.restored"),
    ("POST", "/models", {"data": MODEL.replace("secret-model", "another"), **YAML}, "model.created"),
    ("POST", "/leads/{lead_id}/judgements", {"json": {"points": 1, "reason": "Why"}}, "judgement.given"),
    ("DELETE", "/leads/{lead_id}/judgements/{judgement}", {}, "judgement.withdrawn"),
    ("POST", "/rescores/{rescore_id}/cancel", {}, "rescore.stopped"),
    ("POST", "/rescores/{rescore_id}/resume", {}, "rescore.resumed"),
    ("PUT", "/fields", {"json": {"sensitive": ["salary"]}}, "fields.kept_out"),
    ("PUT", "/fields", {"json": {"signals": {"at_once": True}}}, "signals.changed"),
    ("PUT", "/retention", {"json": {"messages_days": None}}, "retention.changed"),
    ("POST", "/leads/{lead_id}/merge/{other_id}", {}, "leads.joined"),
    (
        "POST",
        "/leads/{lead_id}/apart",
        {"json": {"identities": [{"kind": "user_id", "value": "secret-third"}]}},
        "lead.told_apart",
    ),
    ("DELETE", "/decisions/{decision_id}", {}, "decision.withdrawn"),
    ("POST", "/merges/{merge_id}/undo", {}, "merge.undone"),
    ("POST", "/value-rules", {"json": {"kind": "email", "value": "a@b.example", "rule": "blocked"}}, "value_rule.made"),
    ("DELETE", "/value-rules/{rule_id}", {}, "value_rule.forgotten"),
    ("POST", "/dead-letters/rounds/{round_id}/cancel", {}, "dead_letters.stopped"),
    ("POST", "/dead-letters/{message_id}/replay", {}, "dead_letters.replayed"),
    ("POST", "/dead-letters/{message_id}/dismiss", {}, "dead_letters.dismissed"),
    ("POST", "/imports/{import_id}/start", {}, "import.started"),
    ("POST", "/imports/{import_id}/pause", {}, "import.paused"),
    ("POST", "/imports/{import_id}/resume", {}, "import.resumed"),
    ("POST", "/imports/{import_id}/cancel", {}, "import.cancelled"),
    ("POST", "/imports/{import_id}/undo", {}, "import.undone"),
    ("POST", "/connections/{connection_id}/pause", {}, "connection.paused"),
    ("POST", "/connections/{connection_id}/resume", {}, "connection.resumed"),
    ("POST", "/connections/{connection_id}/sync", {}, "connection.synced"),
    ("POST", "/connections/{connection_id}/reload", {"json": {"stream": "contacts"}}, "connection.reloaded"),
    ("PUT", "/connections/{connection_id}/push", {"json": {"enabled": False}}, "delivery.changed"),
    ("POST", "/connections/{connection_id}/push/send-all", {}, "delivery.repeated"),
    ("DELETE", "/connections/{connection_id}", {}, "connection.disconnected"),
    (
        "POST",
        "/imports?kind=leads&filename=l.csv",
        {"data": b"id,name\n1,Ada\n", "headers": {"Content-Type": "text/csv"}},
        "import.sent",
    ),
    ("POST", "/leads", {"json": {"leads": [{"user_id": "u1"}]}}, ""),
    ("POST", "/models/validate", {"data": MODEL, **YAML}, ""),
]


@pytest.fixture
def ids(victim: Any, kin: Any, connection_id: int) -> dict[str, object]:
    return {**vars(victim), **vars(kin), "connection_id": connection_id}


def test_each_change_over_the_api_leaves_its_entry(tenant: Any, ids: dict[str, object], make_caller: Any) -> None:
    call = make_caller(tenant.tenant_id)
    for method, path, options, action in CALLS:
        (newest, *_) = list_entries(tenant.tenant_id, Wanted(), limit=1).items
        answer = call(method, "/api/v1" + path.format(**ids), **options)
        assert answer.status_code < 300, (method, path, answer.text)
        since = [each for each in list_entries(tenant.tenant_id, Wanted()).items if each.id > newest.id]
        told = [(each.actor_kind, each.action) for each in since if not each.action.startswith("key.")]
        assert told == ([("key", action)] if action else []), (method, path)
        assert "Secret" not in repr([(each.before, each.after) for each in since]), (method, path)


def test_nothing_of_a_lead_but_its_id_is_in_the_log(tenant: Any, ids: dict[str, object]) -> None:
    for entry in list_entries(tenant.tenant_id, Wanted(), limit=200).items:
        told = repr((entry.before, entry.after))
        assert "Secret Person" not in told
        assert "secret@example.test" not in told
        assert "Secret reason" not in told
