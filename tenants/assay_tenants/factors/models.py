"""Factors belong to a person, whichever company they work for; the rule who needs one belongs to a tenant."""

from datetime import datetime
from typing import Literal

from sqlalchemy import ARRAY, BigInteger, Boolean, DateTime, ForeignKeyConstraint, Identity, LargeBinary, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from assay_tenants import sealing
from assay_tenants.database import Base
from assay_tenants.sealing import SealedColumn

Instant = DateTime(timezone=True)
OF_A_PERSON = {"schema": "tenancy", "info": {"citus": "local"}}

Purpose = Literal["register", "second_step", "log_in"]
WhoNeedsOne = Literal["nobody", "owners_and_admins", "everybody"]


class Totp(Base):
    """An authenticator app; it counts from the moment at which a first code of it was right."""

    __tablename__ = "totp_factors"
    __table_args__ = (ForeignKeyConstraint(["person_id"], ["tenancy.people.id"]), OF_A_PERSON)

    person_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(Instant)
    confirmed_at: Mapped[datetime | None] = mapped_column(Instant)
    #: Of the newest code that was taken: no code of this step or an earlier one is taken again.
    last_step: Mapped[int] = mapped_column(BigInteger, server_default="0")
    last_used_at: Mapped[datetime | None] = mapped_column(Instant)


sealing.register(
    SealedColumn(
        "tenancy.totp_factors", "sealed", purpose="totp", key=("person_id",), door="directory", row=("person_id",)
    )
)


class Passkey(Base):
    __tablename__ = "passkeys"
    __table_args__ = (ForeignKeyConstraint(["person_id"], ["tenancy.people.id"]), OF_A_PERSON)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    person_id: Mapped[int] = mapped_column(BigInteger)
    credential_id: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    #: What the authenticator knows the person by: random, the same for all passkeys of a person.
    user_handle: Mapped[bytes] = mapped_column(LargeBinary)
    rp_id: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    sign_count: Mapped[int] = mapped_column(BigInteger)
    transports: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    #: Kept by the maker of the device for all devices of the person.
    synced: Mapped[bool] = mapped_column(Boolean)
    created_at: Mapped[datetime] = mapped_column(Instant)
    last_used_at: Mapped[datetime | None] = mapped_column(Instant)
    #: When its counter went back, as that of a copy does. From then on it opens nothing.
    copied_at: Mapped[datetime | None] = mapped_column(Instant)


class Challenge(Base):
    """What an authenticator is asked to sign: by one browser or person, once, for a few minutes."""

    __tablename__ = "passkey_challenges"
    __table_args__ = OF_A_PERSON

    hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    purpose: Mapped[Purpose] = mapped_column(Text)
    bound_to: Mapped[str] = mapped_column(Text)
    #: What a passkey that is being made will know its owner by.
    user_handle: Mapped[bytes | None] = mapped_column(LargeBinary)
    expires_at: Mapped[datetime] = mapped_column(Instant)


class RecoveryCode(Base):
    __tablename__ = "recovery_codes"
    __table_args__ = (ForeignKeyConstraint(["person_id"], ["tenancy.people.id"]), OF_A_PERSON)

    person_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    made_at: Mapped[datetime] = mapped_column(Instant)
    used_at: Mapped[datetime | None] = mapped_column(Instant)


class LoginRule(Base):
    __tablename__ = "login_rules"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id"], ["tenancy.tenants.id"]),
        {"schema": "tenancy", "info": {"citus": "local"}},
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    second_factor: Mapped[WhoNeedsOne] = mapped_column(Text)
    changed_at: Mapped[datetime] = mapped_column(Instant)
