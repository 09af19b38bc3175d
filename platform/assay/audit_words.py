"""What stands in the audit log, as a person reads it: a sentence for each action, and what changed."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from assay_tenants.audit.queries import Entry

#: By action, what whoever did it has done; what is in braces is the entry's own.
SENTENCES: Final[Mapping[str, str]] = {
    "app.changed": "changed the app {subject}",
    "app.installed": "installed the app {after.name}",
    "app.registered": "registered the app {subject}",
    "app.removed": "removed the app {before.name}",
    "app.secret_revoked": "revoked a secret of the app {subject}",
    "app.secret_rotated": "rotated the secret of the app {subject}",
    "app.uninstalled": "uninstalled the app {subject}",
    "audit.exported": "took the audit log along as {after.format}",
    "connection.address_shown": "looked at the secret address of the connection {subject}",
    "connection.changed": "changed the connection {subject}",
    "connection.created": "connected {subject}",
    "connection.disconnected": "disconnected {subject}",
    "connection.paused": "paused the connection {subject}",
    "connection.reconnected": "connected {subject} again",
    "connection.refused": "was refused by the connection {subject}",
    "connection.reloaded": "had {after.stream} of the connection {subject} read from the beginning",
    "connection.resumed": "went on with the connection {subject}",
    "connection.retried": "had {after.records} records of the connection {subject} tried again",
    "connection.synced": "had the connection {subject} read at once",
    "dead_letters.dismissed": "dismissed {after.letters} refused messages",
    "dead_letters.replayed": "had {after.letters} refused messages read again",
    "dead_letters.stopped": "stopped round {subject} over refused messages",
    "decision.withdrawn": "took back decision {subject} of who is whom",
    "delivery.changed": "changed which scores go back through the connection {subject}",
    "delivery.dead_dismissed": "dismissed {after.leads} refused scores of the connection {subject}",
    "delivery.dead_replayed": "had {after.leads} refused scores of the connection {subject} sent again",
    "delivery.repeated": "had all scores sent again through the connection {subject}",
    "draft.saved": "saved the draft of the model {subject}",
    "email.change_asked": "asked to change the e-mail address of person {subject}",
    "email.changed": "changed the e-mail address of person {subject}",
    "email.verified": "verified the e-mail address of person {subject}",
    "fields.kept_out": "changed which fields are kept out of scoring and out of sight",
    "grant.code_reused": "used a spent code of grant {subject}: all of its tokens were revoked",
    "grant.given": "let the app {after.app} act: grant {subject}",
    "grant.revoked": "took back grant {subject} of an app",
    "grant.token_reused": "used a spent token of grant {subject}: all of its tokens were revoked",
    "grant.token_revoked": "revoked a token of grant {subject}",
    "grant.tokens_revoked": "revoked all tokens of grant {subject}",
    "import.cancelled": "cancelled import {subject}",
    "import.paused": "paused import {subject}",
    "import.resumed": "went on with import {subject}",
    "import.sent": "sent a file of {after.kind}, import {subject}",
    "import.started": "started import {subject}",
    "import.undone": "had all taken back that import {subject} brought",
    "judgement.given": "judged lead {subject}: {after.points} points",
    "judgement.withdrawn": "withdrew a judgement of lead {subject}",
    "key.issued": "made the key {subject}",
    "key.restricted": "changed where the key {subject} may be used from",
    "key.revoked": "revoked the key {subject}",
    "key.rotated": "rotated the key {subject}",
    "lead.revealed": "looked at what is kept out of sight of lead {subject}",
    "lead.told_apart": "told leads {subject} and {after.other_lead} apart",
    "leads.joined": "joined leads {subject} and {after.other_lead}",
    "login.failed": "tried to log in, and could not",
    "login.succeeded": "logged in",
    "login_rule.changed": "changed who needs a second factor to {after.second_factor}",
    "member.added": "added member {subject} as {after.role}",
    "member.invitation_withdrawn": "withdrew the invitation of {before.email}",
    "member.invited": "invited {after.email} as {after.role}",
    "member.invited_again": "sent the invitation of {after.email} again",
    "member.joined": "joined as member {subject}",
    "member.left": "left the company as member {subject}",
    "member.linked": "linked member {subject} to the identity provider",
    "member.provisioned": "provisioned member {subject}",
    "member.removed": "removed member {subject}",
    "member.renamed": "renamed member {subject}",
    "member.resumed": "let member {subject} back in",
    "member.role_changed": "changed the role of member {subject} from {before.role} to {after.role}",
    "member.suspended": "suspended member {subject}",
    "merge.undone": "undid merge {subject}",
    "model.archived": "archived the model {subject}",
    "model.created": "made the model {subject}",
    "model.followed": "published version {after.version} of the model {subject}, which follows another",
    "model.published": "published version {after.version} of the model {subject}",
    "model.restored": "took the model {subject} back from the archive",
    "model.rolled_back": "rolled the model {subject} back to version {after.version}",
    "operator.allowed": "allowed operator {after.operator} to look, access {subject}",
    "operator.asked": "asked to look: {after.reason}, access {subject}",
    "operator.ended": "ended access {subject} of operator {after.operator}",
    "operator.entered": "came in by access {subject}",
    "operator.looked": "opened the page {subject}",
    "operator.opened": "opened access {subject} for {after.minutes} minutes: {after.reason}",
    "operator.session_opened": "looked at the database by access {subject}",
    "operator_rule.changed": "changed whether operators have to ask first",
    "password.changed": "changed the password of person {subject}",
    "password.reset": "set the password of person {subject} anew",
    "password.reset_asked": "asked to set the password of person {subject} anew",
    "person.erased": "is done: a person was erased, erasure {subject}",
    "person.erasure_incomplete": "found something left of a person, erasure {subject}",
    "person.erasure_lifted": "lifted the erasure {subject}",
    "person.erasure_repeated": "had the erasure {subject} looked through again",
    "person.erasure_requested": "had a person erased, erasure {subject}",
    "person.exported": "exported what is kept of a person",
    "plan.changed": "changed the plan from {before.plan} to {after.plan}",
    "recovery_code.used": "used a recovery code of person {subject}",
    "recovery_codes.made": "made new recovery codes for person {subject}",
    "registration_token.made": "made the registration token {subject}",
    "registration_token.revoked": "revoked the registration token {subject}",
    "rescore.resumed": "went on with rescore {subject}",
    "rescore.started": "had all leads scored anew, rescore {subject}",
    "rescore.stopped": "stopped rescore {subject} at {after.percent} %",
    "retention.changed": "changed how long messages and events are kept",
    "scim_token.made": "made the provisioning token {subject}",
    "scim_token.revoked": "revoked the provisioning token {subject}",
    "scim_token.rotated": "rotated the provisioning token {subject}",
    "second_factor.added": "added a second factor ({after.kind}) of person {subject}",
    "second_factor.copied": "was kept out: a passkey of person {subject} seems to be copied",
    "second_factor.removed": "removed a second factor ({before.kind}) of person {subject}",
    "second_factor.renamed": "renamed a passkey of person {subject}",
    "second_factors.reset": "reset the second factors of person {subject}",
    "session.ended": "logged out",
    "session.revoked": "ended a session of person {subject}",
    "signals.changed": "changed which signs of machines are looked for",
    "sso.configured": "set up single sign-on",
    "sso.enforced": "made single sign-on the only way in",
    "sso.relaxed": "let passwords in beside single sign-on",
    "sso.removed": "removed single sign-on",
    "sso_domain.claimed": "claimed the domain {subject}",
    "sso_domain.lost": "lost the domain {subject} to another account that proved it",
    "sso_domain.removed": "removed the domain {subject}",
    "sso_domain.verified": "proved that the domain {subject} is theirs",
    "tenant.created": "signed the company up",
    "value_rule.forgotten": "took back rule {subject} about a shared value",
    "value_rule.made": "made rule {subject} about a shared value",
}
DOORS: Final = {"web": "on the pages", "api": "over the API", "command": "on the command line"}

_WORD = re.compile(r"\{(\w+)(?:\.(\w+))?\}")


class Change(NamedTuple):
    name: str
    before: str
    after: str


def sentence(entry: Entry) -> str:
    """Who did what; an action that we have no words for is told by its own name."""
    told = SENTENCES.get(entry.action)
    filled = _filled(told, entry) if told else None
    if filled is None:
        subject = f" {entry.subject}" if entry.subject else ""
        filled = f"{entry.action.replace('.', ': ').replace('_', ' ')}{subject}"
        return f"{entry.actor_name} · {filled}"
    return f"{entry.actor_name} {filled}"


def _filled(told: str, entry: Entry) -> str | None:
    missing = False

    def word(match: re.Match[str]) -> str:
        nonlocal missing
        value = getattr(entry, match[1])
        if match[2]:
            value = (value or {}).get(match[2])
        missing |= value is None or value == ""
        return shown(value)

    filled = _WORD.sub(word, told)
    return None if missing else filled


def changes(entry: Entry) -> list[Change]:
    """What was otherwise before, by name."""
    before, after = entry.before or {}, entry.after or {}
    return [
        Change(name.replace("_", " "), shown(before.get(name)), shown(after.get(name)))
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
    ]


def shown(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(shown(each) for each in value) or "–"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
