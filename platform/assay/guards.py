"""What every process needs before it touches a secret or calls an address that somebody typed."""

from pathlib import Path

from assay.letterbox import post_of
from assay.settings import BadSetting, Settings
from assay_sdk import egress
from assay_tenants import mailing, plans, resealing, sealing
from assay_tenants.errors import BadInput
from assay_tenants.sso import domains

resealing.look_in("assay.profiles.erasing.models", "assay.connecting.models", "assay.syncing.models")


def guard(settings: Settings) -> None:
    """Gives this process the keys that seal, and the addresses that may be called although they are not public."""
    if not settings.sealing_keys:
        raise BadSetting(
            "sealing_keys",
            "is not set, and only an embedded database has a data folder that keeps keys",
            f"{sealing.ACCEPTED}, the same for all processes; "
            'echo "$(date +%Y%m):$(openssl rand -base64 32)" makes one',
        )
    sealing.configure(settings.sealing_keys)
    egress.configure(settings.egress_allow.split(","))
    domains.configure(settings.nameserver)
    offer_plans(settings)


def offer_plans(settings: Settings) -> None:
    """Raises BadSetting when the file of plans can't be used, or has not the plan of those who sign up."""
    try:
        plans.configure(Path(settings.plans_file) if settings.plans_file else None)
    except (OSError, UnicodeDecodeError, plans.WrongCatalogue) as error:
        raise BadSetting("plans_file", f"can't be used: {error}", "a YAML file as in docs/plans.md") from None
    try:
        plans.configure_sign_up(settings.sign_up_plan)
    except BadInput as error:
        raise BadSetting("sign_up_plan", error.message, "the name of a plan") from None
    mailing.configure(post_of(settings))


def agree() -> None:
    """Once the database is at hand: raises SealingError when others know one of our keys' ids by another key."""
    resealing.announce()
