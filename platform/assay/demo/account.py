"""The demonstration's tenant, made once; its credentials lie in the data folder for the next run to print."""

import contextlib
import os
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import msgspec

COMPANY = "Lumen Instruments (demo)"
OWNER = "Ada Quartz"
MODELS = ("field-teams", "laboratories")
#: One of the templates as it is, beside the two of their own.
TEMPLATE, TEMPLATE_MODEL = "encharge", "encharge"


@dataclass
class Account:
    email: str
    password: str = field(repr=False)
    write_key: str = field(repr=False)
    tenant_id: int
    #: The history ends here, whenever it is sent.
    since: datetime
    has_models: bool = False
    has_history: bool = False


def path_in(data_dir: Path) -> Path:
    return data_dir / "demo.json"


def read(data_dir: Path) -> Account | None:
    try:
        return msgspec.json.decode(path_in(data_dir).read_bytes(), type=Account)
    except FileNotFoundError:
        return None


def write(data_dir: Path, account: Account) -> None:
    path = path_in(data_dir)
    unfinished = path.with_suffix(".new")
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123 # a mode from the start
        file.write(msgspec.json.format(msgspec.json.encode(account)))
    unfinished.replace(path)


def documents() -> dict[str, str]:
    """The text of each of the tenant's models by its name."""
    from assay.scoring import starting

    folder = files("assay.demo").joinpath("models")
    own = {name: folder.joinpath(f"{name}.yaml").read_text(encoding="utf-8") for name in MODELS}
    (template,) = starting.render(TEMPLATE, models=[TEMPLATE_MODEL])
    return own | {template.name: template.text}


def prepare(data_dir: Path, *, tracking_plugin: str) -> Account:
    """The account, with its tenant and its published models; goes on where a killed run stopped."""
    from assay.scoring import service
    from assay.scoring.errors import ModelNameTaken
    from assay_tenants.access import sign_up

    account = read(data_dir)
    if account is None:
        # A run killed between sign-up and this file leaves a tenant without a known password: the next makes another.
        email = f"demo-{secrets.token_hex(3)}@lumen.example.test"
        password = secrets.token_urlsafe(12)
        made = sign_up(
            company=COMPANY, name=OWNER, email=email, password=password, plugin=tracking_plugin, verified=True
        )
        account = Account(email, password, made.write_key, made.tenant_id, since=datetime.now(UTC))
        write(data_dir, account)
    if not account.has_models:
        for name, text in documents().items():
            with contextlib.suppress(ModelNameTaken):
                service.create_model(account.tenant_id, text)
            service.publish(account.tenant_id, name, by=OWNER)
        account.has_models = True
        write(data_dir, account)
    return account
