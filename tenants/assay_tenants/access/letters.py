"""What our mails say. Each tells why it came, and what to do if one did not ask for it."""

from dataclasses import dataclass

from assay_tenants.mailing import link_to, quoted
from assay_tenants.models import Role

_SIGNED = "\n\nAssay\n"
#: Each role in words, as an invitation and the members' page say it.
ROLES: dict[Role, str] = {
    "owner": "everything, the company's plan and its owners included",
    "admin": "everything but the company's plan and its owners",
    "editor": "works with leads, imports and scoring models",
    "viewer": "sees leads, scores and models",
}


@dataclass(frozen=True)
class Letter:
    subject: str
    text: str


def verify(name: str, key: str) -> Letter:
    return Letter(
        "Verify your e-mail address",
        f"""\
Hello {_in(name)},

please show that this e-mail address is yours by opening this page:

{link_to("/verify", key=key)}

The link works once, within 24 hours. Open it where you are logged in; elsewhere you are asked to log in first.

You get this mail because somebody, most likely you, gave this address for an account at Assay. If that was not you,
do nothing: the address will not be used.{_SIGNED}""",
    )


def address_changed(name: str, new: str) -> Letter:
    return Letter(
        "Your e-mail address was changed",
        f"""\
Hello {_in(name)},

from now on you log in to Assay as {new}, and our mails go there.

You get this mail at your former address so that nobody can change it behind your back. If that was not you, write at
once to an owner of your company's account: they can remove the account from it.{_SIGNED}""",
    )


def reset(name: str, key: str, address: str) -> Letter:
    return Letter(
        "Choose a new password",
        f"""\
Hello {_in(name)},

you can choose a new password on this page:

{link_to("/reset", key=key)}

The link works once, within an hour. Choosing a new password ends all your sessions; a second factor, if you have one,
is still asked for.

You get this mail because somebody{_from(address)} asked for a new password for this address. If that was not you, do
nothing: your password stays as it is.{_SIGNED}""",
    )


def password_changed(name: str, address: str) -> Letter:
    return Letter(
        "Your password was changed",
        f"""\
Hello {_in(name)},

your password at Assay was changed just now{_from(address)}, and all your other sessions were ended.

You get this mail so that nobody can change it behind your back. If that was not you, choose a new one at once:

{link_to("/forgotten")}{_SIGNED}""",
    )


def invitation(company: str, by: str, role: Role, key: str) -> Letter:
    return Letter(
        f"You are invited to {quoted(company)} on Assay",
        f"""\
Hello,

{_in(by)} invites you to work with {quoted(company)} on Assay, which finds out how much gold is in a company's leads.
Your role would be {role}: {ROLES[role]}.

Accept the invitation here:

{link_to("/invitation", key=key)}

The link works once, within seven days.

You get this mail because {_in(by)} typed this address. If you don't know them, do nothing: without you nothing
happens.{_SIGNED}""",
    )


def removed(company: str, name: str) -> Letter:
    return Letter(
        f"You are no longer a member of {quoted(company)}",
        f"""\
Hello {_in(name)},

your membership of {quoted(company)} on Assay has ended; what you made there stays with the company.

You get this mail because an owner or admin of {quoted(company)} removed you.{_SIGNED}""",
    )


def role_changed(company: str, name: str, role: Role) -> Letter:
    return Letter(
        f"Your role at {quoted(company)} was changed",
        f"""\
Hello {_in(name)},

from now on your role at {quoted(company)} on Assay is {role}: {ROLES[role]}.

You get this mail because an owner or admin of {quoted(company)} changed your role.{_SIGNED}""",
    )


def _in(name: str) -> str:
    return quoted(name)[1:-1]


def _from(address: str) -> str:
    return f" from the network address {address}" if address else ""
