"""The methods of the REST API that the stand-in knows, by their names."""

import secrets as randomness
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from assay_bitrix24 import forms
from assay_bitrix24.simulator.portals import ACTIVITY, NAMES, PAGE, Portal, RestError

Parameters = Mapping[str, Any]
#: Takes the portal, the parameters, this instant and the caller's token; gives the answer without its times.
Method = Callable[[Portal, Parameters, datetime, str], dict[str, Any]]

MOST_PARTS = 50


def item_list(portal: Portal, given: Parameters, now: datetime, token: str) -> dict[str, Any]:
    kind = _entity(given)
    select = given.get("select") or ["*"]
    start = int(given.get("start") or 0)
    rows, total = portal.listed(kind, given.get("filter") or {}, start=start)
    items = [portal.shown(kind, row, original=given.get("useOriginalUfNames") == "Y") for row in rows]
    if "*" not in select:
        items = [{name: value for name, value in item.items() if name != "fm" and name in select} for item in items]
    return {"result": {"items": items}} | _paged(start, len(rows), total)


def item_get(portal: Portal, given: Parameters, now: datetime, token: str) -> dict[str, Any]:
    kind = _entity(given)
    row = _row(portal, kind, given)
    return {"result": {"item": portal.shown(kind, row, original=given.get("useOriginalUfNames") == "Y")}}


def item_update(portal: Portal, given: Parameters, now: datetime, token: str) -> dict[str, Any]:
    kind = _entity(given)
    row, fields = _row(portal, kind, given), given.get("fields")
    if not isinstance(fields, dict):
        raise RestError("INVALID_ARG_VALUE", "fields has to be an object")
    types = portal.user_fields.get(NAMES[kind].lower(), {})
    # Names that nobody knows are left out without a word.
    known = {
        name: _typed(types[name], value) if name in types else value
        for name, value in fields.items()
        if name in types or name in row
    }
    if portal.change(kind, row["id"], now, known):
        portal.happened(f"ONCRM{NAMES[kind]}UPDATE", row["id"], now, access_token=token)
    return {"result": {"item": portal.shown(kind, row, original=given.get("useOriginalUfNames") == "Y")}}


def activity_list(portal: Portal, given: Parameters, now: datetime, token: str) -> dict[str, Any]:
    start = int(given.get("start") or 0)
    rows, total = portal.listed(ACTIVITY, given.get("filter") or {}, start=start)
    shown = [portal.shown(ACTIVITY, row, original=True) for row in rows]
    if "COMMUNICATIONS" not in (given.get("select") or ()):
        shown = [{name: value for name, value in row.items() if name != "COMMUNICATIONS"} for row in shown]
    return {"result": shown} | _paged(start, len(rows), total)


def status_list(portal: Portal, given: Parameters, now: datetime, token: str) -> dict[str, Any]:
    wanted = (given.get("filter") or {}).get("ENTITY_ID")
    return {
        "result": [
            {"ID": str(100 + place), "ENTITY_ID": entity, "STATUS_ID": id_, "NAME": name, "SEMANTICS": semantics}
            for place, (entity, id_, name, semantics) in enumerate(portal.statuses)
            if wanted in (None, entity)
        ]
    }


def deal_contacts(portal: Portal, given: Parameters, now: datetime, token: str) -> dict[str, Any]:
    id_ = int(given.get("id") or 0)
    contacts = portal.deal_contacts.get(id_, [])
    return {
        "result": [
            {"CONTACT_ID": contact, "SORT": 100 * (place + 1), "ROLE_ID": 0, "IS_PRIMARY": "N" if place else "Y"}
            for place, contact in enumerate(contacts)
        ]
    }


def userfield_list(kind: str) -> Method:
    def method(portal: Portal, given: Parameters, now: datetime, token: str) -> dict[str, Any]:
        wanted = (given.get("filter") or {}).get("FIELD_NAME")
        fields = portal.user_fields[kind].items()
        return {
            "result": [
                {"ID": str(6000 + place), "ENTITY_ID": f"CRM_{kind.upper()}", "FIELD_NAME": name, "USER_TYPE_ID": type_}
                for place, (name, type_) in enumerate(fields)
                if wanted in (None, name)
            ]
        }

    return method


def userfield_add(kind: str) -> Method:
    def method(portal: Portal, given: Parameters, now: datetime, token: str) -> dict[str, Any]:
        fields = given.get("fields") or {}
        name = "UF_CRM_" + str(fields.get("FIELD_NAME", "")).removeprefix("UF_CRM_").removeprefix("UF_")
        if not fields.get("USER_TYPE_ID") or name == "UF_CRM_":
            raise RestError("ERROR_CORE", "FIELD_NAME and USER_TYPE_ID are needed.")
        if name in portal.user_fields[kind]:
            raise RestError("ERROR_CORE", f"The field {name} for the object CRM_{kind.upper()} already exists.<br>")
        portal.user_fields[kind][name] = str(fields["USER_TYPE_ID"])
        return {"result": 6000 + len(portal.user_fields[kind])}

    return method


def event_bind(portal: Portal, given: Parameters, now: datetime, token: str) -> dict[str, Any]:
    event, handler = str(given.get("event", "")).upper(), str(given.get("handler") or "")
    if given.get("event_type") == "offline":
        portal.bound_offline.add(event)
        return {"result": True}
    if not handler:
        raise RestError("INVALID_ARG_VALUE", "handler is needed")
    if (event, handler) in portal.bound:
        raise RestError("ERROR_CORE", "Unable to set event handler: Handler already binded")
    portal.bound.add((event, handler))
    return {"result": True}


def event_unbind(portal: Portal, given: Parameters, now: datetime, token: str) -> dict[str, Any]:
    key = (str(given.get("event", "")).upper(), str(given.get("handler") or ""))
    count = int(key in portal.bound)
    portal.bound.discard(key)
    return {"result": {"count": count}}


def event_get(portal: Portal, given: Parameters, now: datetime, token: str) -> dict[str, Any]:
    online = [
        {"event": event, "handler": handler, "auth_type": "0", "offline": 0} for event, handler in sorted(portal.bound)
    ]
    return {
        "result": online + [{"event": event, "handler": "", "offline": 1} for event in sorted(portal.bound_offline)]
    }


def offline_list(portal: Portal, given: Parameters, now: datetime, token: str) -> dict[str, Any]:
    return {"result": portal.queue[:PAGE], "total": len(portal.queue)}


def offline_get(portal: Portal, given: Parameters, now: datetime, token: str) -> dict[str, Any]:
    free = [row for row in portal.queue if not row["PROCESS_ID"]][: int(given.get("limit") or PAGE)]
    if str(given.get("clear", 1)) != "0":
        # What Bitrix24 does unless told otherwise: gone, whether or not the answer arrives.
        portal.queue = [row for row in portal.queue if row not in free]
        return {"result": {"process_id": None, "events": free}}
    process = randomness.token_hex(8) if free else None
    for row in free:
        row["PROCESS_ID"] = process
    events = [{name: value for name, value in row.items() if name != "PROCESS_ID"} for row in free]
    return {"result": {"process_id": process, "events": events}}


def offline_clear(portal: Portal, given: Parameters, now: datetime, token: str) -> dict[str, Any]:
    if not given.get("process_id"):
        raise RestError("PROCESS_ID_NOT_FOUND", "process_id is needed")
    portal.queue = [row for row in portal.queue if row["PROCESS_ID"] != given["process_id"]]
    return {"result": True}


def feature_get(portal: Portal, given: Parameters, now: datetime, token: str) -> dict[str, Any]:
    return {"result": {"value": "Y" if given.get("CODE") in portal.features else "N"}}


def app_info(portal: Portal, given: Parameters, now: datetime, token: str) -> dict[str, Any]:
    return {
        "result": {"ID": 5, "CODE": "local.assay", "STATUS": "L", "INSTALLED": portal.installed, "LICENSE": "eu_pro"}
    }


METHODS: dict[str, Method] = {
    "crm.item.list": item_list,
    "crm.item.get": item_get,
    "crm.item.update": item_update,
    "crm.activity.list": activity_list,
    "crm.status.list": status_list,
    "crm.deal.contact.items.get": deal_contacts,
    "crm.lead.userfield.list": userfield_list("lead"),
    "crm.lead.userfield.add": userfield_add("lead"),
    "crm.contact.userfield.list": userfield_list("contact"),
    "crm.contact.userfield.add": userfield_add("contact"),
    "event.bind": event_bind,
    "event.unbind": event_unbind,
    "event.get": event_get,
    "event.offline.list": offline_list,
    "event.offline.get": offline_get,
    "event.offline.clear": offline_clear,
    "feature.get": feature_get,
    "app.info": app_info,
}


def perform(portal: Portal, name: str, given: Parameters, now: datetime, token: str) -> dict[str, Any]:
    """One method; raises RestError."""
    method = METHODS.get(name)
    if method is None:
        raise RestError("ERROR_METHOD_NOT_FOUND", "Method not found!", 404)
    if (until := portal.spent.get(name)) is not None and now < until:
        time = {"finish": now.timestamp(), "operating": 480.1, "operating_reset_at": until.timestamp()}
        raise RestError("OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit.", 429, time=time)
    return method(portal, given, now, token)


def perform_batch(
    portal: Portal, given: Parameters, now: datetime, token: str, seen: Callable[[str, Parameters], None]
) -> dict[str, Any]:
    """Many methods; always a good answer. Empty objects are written as lists, as PHP does."""
    commands = given.get("cmd")
    if not isinstance(commands, dict) or len(commands) > MOST_PARTS:
        raise RestError("ERROR_BATCH_LENGTH_EXCEEDED", "Max batch length exceeded")
    results: dict[str, Any] = {}
    errors: dict[str, Any] = {}
    for key, command in commands.items():
        name, _, query = str(command).partition("?")
        parameters = forms.nested(forms.pairs(query.encode()))
        seen(name, parameters)
        try:
            results[key] = perform(portal, name, parameters, now, token)["result"]
        except RestError as error:
            errors[key] = error.body
    return {"result": {"result": results or [], "result_error": errors or [], "result_total": [], "result_next": []}}


def _paged(start: int, count: int, total: int) -> dict[str, Any]:
    if start < 0:
        return {"total": 0}
    following = start + count
    return {"total": total} | ({"next": following} if following < total else {})


def _entity(given: Parameters) -> int:
    try:
        kind = int(given["entityTypeId"])
    except (KeyError, TypeError, ValueError):
        kind = -1
    if kind not in NAMES or kind == ACTIVITY:
        raise RestError("NOT_FOUND", "The smart process was not found")
    return kind


def _row(portal: Portal, kind: int, given: Parameters) -> dict[str, Any]:
    row = portal.rows[kind].get(int(given.get("id") or 0))
    if row is None:
        raise RestError("NOT_FOUND", "The item was not found")
    return row


def _typed(type_: str, value: Any) -> Any:
    return int(value) if type_ == "integer" and str(value).lstrip("-").isdecimal() else value
