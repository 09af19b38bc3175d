"""Names of stages and of sources: kept in the connection's notes, and put beside the records that use them."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from assay_bitrix24.calls import call
from assay_bitrix24.kinds import COMPANY, CONTACT, DEAL, LEAD, Kind
from assay_sdk import Link

#: Somebody may rename a stage: then it is called so within the hour.
GOOD_FOR = timedelta(hours=1)

Stages = dict[str, dict[str, str]]


def stages_of(link: Link, kind: Kind, records: Sequence[Mapping[str, Any]]) -> Stages:
    """What the records' stages and sources are called: ``{"STATUS/NEW": {"name": "New", "semantics": ""}}``."""
    wanted = {key for record in records for key in keys(kind.name, record)}
    if not wanted:
        return {}
    noted = link.notes.get("stages")
    known: Mapping[str, Any] = noted if isinstance(noted, dict) else {}
    names, read_at = known.get("names") or {}, str(known.get("at") or "")
    is_old = not read_at or link.clock.now() - datetime.fromisoformat(read_at) > GOOD_FOR
    unknown = wanted - names.keys() - set(known.get("missing") or ())
    if is_old or unknown:
        names = _read(link)
        link.note(
            stages={
                "at": link.clock.now().isoformat(),
                "names": names,
                # One that the portal itself does not know is not asked for at each page.
                "missing": sorted(wanted - names.keys())[:200],
            }
        )
    return {key: names[key] for key in sorted(wanted) if key in names}


def keys(kind: str, record: Mapping[str, Any]) -> dict[str, str]:
    """Where the names of a record's stage and source stand, by what they are."""
    found: dict[str, str] = {}
    if stage := record.get("stageId"):
        category = record.get("categoryId") or 0
        group = "STATUS" if kind == LEAD.name else f"DEAL_STAGE_{category}" if category else "DEAL_STAGE"
        found[f"{group}/{stage}"] = "stage"
    if kind in (LEAD.name, CONTACT.name, DEAL.name) and (source := record.get("sourceId")):
        found[f"SOURCE/{source}"] = "source"
    if kind == COMPANY.name and (industry := record.get("industry")):
        found[f"INDUSTRY/{industry}"] = "industry"
    return found


def _read(link: Link) -> Stages:
    answer = call(link, "crm.status.list", {"order": {"SORT": "ASC"}})
    rows = answer.get("result")
    return {
        f"{row['ENTITY_ID']}/{row['STATUS_ID']}": {
            "name": str(row.get("NAME") or ""),
            "semantics": str(row.get("SEMANTICS") or ""),
        }
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict)
        and row.get("STATUS_ID")
        and str(row.get("ENTITY_ID", "")).startswith(("STATUS", "SOURCE", "INDUSTRY", "DEAL_STAGE"))
    }
