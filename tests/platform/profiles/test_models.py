"""The models say what the migrations made."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, create_engine

from assay.embedded import Embedded
from assay.intake.imports.models import Import, ImportCheck, ImportChunk, RefusedRow
from assay.profiles.identity_models import Crowded, DecidedPair, Decision, Merge, ValueRule
from assay.profiles.models import (
    Company,
    ImportCompany,
    ImportEvent,
    ImportStatement,
    KeptEvent,
    KnownAs,
    Lead,
    Link,
    PastCompany,
    PastEvent,
    PastLead,
    PastMembership,
    SeenEvent,
)

MODELS = (Company, KeptEvent, KnownAs, Lead, Link, SeenEvent, Import, ImportCheck, ImportChunk, RefusedRow)
PAST = (PastCompany, PastEvent, PastLead, PastMembership)
IDENTITY = (Crowded, DecidedPair, Decision, Merge, ValueRule)
LAYERS = (ImportCompany, ImportEvent, ImportStatement)


@pytest.fixture
def owner(servers: Embedded) -> Connection:
    url = servers.owner_url.replace("postgresql://", "postgresql+psycopg://", 1)
    return create_engine(url).connect()


def test_models_are_as_migrated(owner: Connection) -> None:
    ours = MetaData()
    for model in MODELS + PAST + LAYERS + IDENTITY:
        model.metadata.tables[f"{model.__table__.schema}.{model.__tablename__}"].to_metadata(ours)
    names = {(table.schema, table.name) for table in ours.tables.values()}
    options = {
        "include_schemas": True,
        "compare_type": True,
        "include_object": lambda thing, name, kind, *_: kind != "table" or (thing.schema, name) in names,
    }
    with owner:
        assert compare_metadata(MigrationContext.configure(owner, opts=options), ours) == []
