"""The stand-in's CRM: lists, searches, batches, associations, pipelines and properties."""

from collections.abc import Callable
from typing import Any

from werkzeug.wrappers import Request, Response

from assay_hubspot.paths import ASSOCIATIONS, OBJECTS, PIPELINES, PROPERTIES
from assay_hubspot.simulator.answers import error, missing_scope
from assay_hubspot.simulator.people import PIPELINES as SALES
from assay_hubspot.simulator.portal import Portal, Row, Table
from assay_hubspot.simulator.state import State
from assay_sdk.paging import to_milliseconds
from assay_sdk.testing import answer_json, route
from assay_sdk.testing.simulator import Grant

LIST_MOST, SEARCH_MOST, BATCH_MOST, HISTORY_MOST, ROWS_MOST, BODY_MOST = 100, 200, 100, 50, 10_000, 3000
SCOPES = {"contacts": "contacts", "companies": "companies", "deals": "deals", "meetings": "contacts"}


class Crm(State):
    """Views under ``/crm``."""

    def table(self, grant: Grant, kind: str, *, scope: str = "read") -> Table | Response:
        portal = self.portal_of(grant)
        if kind not in portal.tables:
            return error(404, "OBJECT_NOT_FOUND", f"Unable to infer object type from: {kind}")
        needed = f"crm.objects.{SCOPES[kind]}.{scope}"
        return portal.tables[kind] if needed in grant.scopes else missing_scope(needed)

    @route("GET", f"{OBJECTS}/<kind>")
    def listed(self, request: Request, grant: Grant, kind: str) -> Response:
        table = self.table(grant, kind)
        if isinstance(table, Response):
            return table
        limit = request.args.get("limit", 10, int)
        if not 1 <= limit <= LIST_MOST:
            return error(400, "VALIDATION_ERROR", f"limit must be between 1 and {LIST_MOST}")
        names = request.args.get("properties", "").split(",")
        archived = request.args.get("archived") == "true"
        with self.lock:
            rows = table.after(request.args.get("after", 0, int) - 1, archived=archived)
            found: list[Row] = []
            following: Row | None = None
            for row in rows:
                if len(found) == limit:
                    following = row
                    break
                found.append(row)
            shown = [table.shown(row, names) for row in found]
        if request.args.get("associations") == "companies":
            for record, row in zip(shown, found, strict=True):
                if company := row.properties().get("associatedcompanyid"):
                    linked = [{"id": company, "type": "contact_to_company"}]
                    record["associations"] = {"companies": {"results": linked}}
        body: dict[str, Any] = {"results": shown}
        if following is not None:
            body["paging"] = {"next": {"after": str(following.id), "link": f"{self.address}{request.path}"}}
        return answer_json(body)

    @route("GET", f"{OBJECTS}/<kind>/<int:id_>")
    def one(self, request: Request, grant: Grant, kind: str, id_: int) -> Response:
        table = self.table(grant, kind)
        if isinstance(table, Response):
            return table
        portal = self.portal_of(grant)
        row = table.rows.get(portal.current(id_) if kind == "contacts" else id_)
        archived = request.args.get("archived") == "true"
        if row is None or (row.archived_at is not None) is not archived:
            return error(404, "OBJECT_NOT_FOUND", "resource not found")
        return answer_json(table.shown(row, request.args.get("properties", "").split(",")))

    @route("POST", f"{OBJECTS}/<kind>/search")
    def search(self, request: Request, grant: Grant, kind: str) -> Response:
        table = self.table(grant, kind)
        if isinstance(table, Response):
            return table
        body: dict[str, Any] = request.get_json()
        limit, start = body.get("limit", 10), int(body.get("after", 0))
        if len(request.get_data()) > BODY_MOST:
            return error(400, "VALIDATION_ERROR", f"The body has more than {BODY_MOST} characters.")
        if not 1 <= limit <= SEARCH_MOST or len(body.get("sorts") or ()) > 1:
            return error(400, "VALIDATION_ERROR", "There was a problem with the request: limit or sorts.")
        if start + limit > ROWS_MOST:
            return error(400, "VALIDATION_ERROR", f"Search results beyond {ROWS_MOST} can't be read.")
        with self.lock:
            rows = self._matching(table, body.get("filterGroups") or [])
            if any(sort["propertyName"] == "hs_object_id" for sort in body.get("sorts") or ()):
                rows = sorted(rows, key=lambda row: row.id)
            shown = [table.shown(row, body.get("properties") or []) for row in rows[start : start + limit]]
        answer: dict[str, Any] = {"total": len(rows), "results": shown}
        if start + limit < len(rows):
            answer["paging"] = {"next": {"after": str(start + limit)}}
        return answer_json(answer)

    def _matching(self, table: Table, groups: list[dict[str, Any]]) -> list[Row]:
        """By instants and ids alone, which is all that anybody asks here; the least lately changed first."""
        readers: dict[str, Callable[[Row], int]] = {
            table.modified_name: lambda row: row.modified,
            "hs_object_id": lambda row: row.id,
        }
        compared: dict[str, Callable[[int, int], bool]] = {
            "GTE": lambda have, want: have >= want,
            "LTE": lambda have, want: have <= want,
            "GT": lambda have, want: have > want,
            "EQ": lambda have, want: have == want,
        }
        rows = table.by_change()
        if self.search_lag:
            known = to_milliseconds(self.clock.now() - self.search_lag)
            rows = [row for row in rows if row.modified <= known]
        for group in groups[:1]:
            for rule in group["filters"]:
                read, holds = readers[rule["propertyName"]], compared[rule["operator"]]
                wanted = int(rule["value"])
                rows = [row for row in rows if holds(read(row), wanted)]
        return rows

    @route("POST", f"{OBJECTS}/<kind>/batch/read")
    def batch_read(self, request: Request, grant: Grant, kind: str) -> Response:
        table = self.table(grant, kind)
        if isinstance(table, Response):
            return table
        body: dict[str, Any] = request.get_json()
        history = body.get("propertiesWithHistory") or []
        if len(body["inputs"]) > (HISTORY_MOST if history else BATCH_MOST):
            return error(400, "VALIDATION_ERROR", "Too many inputs in one batch.")
        portal, results, errors = self.portal_of(grant), {}, []
        archived = request.args.get("archived") == "true"
        with self.lock:
            for given in body["inputs"]:
                id_ = int(given["id"])
                row = table.rows.get(portal.current(id_) if kind == "contacts" else id_)
                if row is None or (row.archived_at is not None) is not archived:
                    errors.append(_not_found(given["id"]))
                else:
                    results[row.id] = table.shown(row, body.get("properties") or [], history=history)
        return _batch(list(results.values()), errors)

    @route("POST", f"{OBJECTS}/<kind>/batch/update")
    def batch_update(self, request: Request, grant: Grant, kind: str) -> Response:
        table = self.table(grant, kind, scope="write")
        if isinstance(table, Response):
            return table
        inputs: list[dict[str, Any]] = request.get_json()["inputs"]
        if len(inputs) > BATCH_MOST:
            return error(400, "VALIDATION_ERROR", "Too many inputs in one batch.")
        portal = self.portal_of(grant)
        unknown = {name for given in inputs for name in given["properties"] if name not in portal.properties}
        if unknown:
            said = f'Property values were not valid: Property "{sorted(unknown)[0]}" does not exist'
            inner = [{"message": said, "code": "PROPERTY_DOESNT_EXIST"}]
            return error(400, "VALIDATION_ERROR", said, errors=inner)
        if self.spoils and any(given["id"] == self.spoils for given in inputs):
            return error(400, "VALIDATION_ERROR", "One of the inputs is not valid; which one is not told.")
        results, errors = [], []
        with self.lock:
            for given in inputs:
                row = table.live(portal.current(int(given["id"])))
                trace = {"objectWriteTraceId": given.get("objectWriteTraceId", "")}
                if row is None:
                    errors.append(_not_found(given["id"], **trace))
                elif str(row.id) in self.refused_rows:
                    context = {"ids": [given["id"]], "objectWriteTraceId": [trace["objectWriteTraceId"]]}
                    said = "The portal's rules do not allow this value."
                    errors.append(
                        {"status": "error", "category": "VALIDATION_ERROR", "message": said, "context": context}
                    )
                else:
                    self.change(portal, row, given["properties"], source="INTEGRATION")
                    results.append({**table.shown(row, list(given["properties"])), **trace})
        return _batch(results, errors)

    @route("POST", f"{ASSOCIATIONS}/<kind>/contacts/batch/read")
    def associated(self, request: Request, grant: Grant, kind: str) -> Response:
        table = self.table(grant, kind)
        if isinstance(table, Response):
            return table
        portal, results = self.portal_of(grant), []
        for given in request.get_json()["inputs"]:
            contacts = portal.contacts_of.get((kind, int(given["id"])), [])
            start = int(given.get("after", 0))
            some = contacts[start : start + self.associations_page]
            if some:
                found: dict[str, Any] = {"from": {"id": given["id"]}, "to": [{"toObjectId": id_} for id_ in some]}
                if start + len(some) < len(contacts):
                    found["paging"] = {"next": {"after": str(start + len(some))}}
                results.append(found)
        return answer_json({"status": "COMPLETE", "results": results})

    @route("GET", f"{PIPELINES}/deals")
    def pipelines(self, request: Request, grant: Grant) -> Response:
        return answer_json({"results": SALES})

    @route("GET", f"{PROPERTIES}/contacts")
    def properties(self, request: Request, grant: Grant) -> Response:
        return answer_json({"results": list(self.portal_of(grant).properties.values())})

    @route("POST", f"{PROPERTIES}/contacts")
    def create_property(self, request: Request, grant: Grant) -> Response:
        return self._create(grant, request.get_json(), lambda portal: portal.properties)

    @route("POST", f"{PROPERTIES}/contacts/groups")
    def create_group(self, request: Request, grant: Grant) -> Response:
        return self._create(grant, request.get_json(), lambda portal: portal.groups)

    def _create(
        self, grant: Grant, body: dict[str, Any], where: Callable[[Portal], dict[str, dict[str, Any]]]
    ) -> Response:
        if "crm.schemas.contacts.write" not in grant.scopes:
            return missing_scope("crm.schemas.contacts.write")
        portal = self.portal_of(grant)
        if body["name"] in where(portal):
            return error(409, "OBJECT_ALREADY_EXISTS", f"{body['name']} already exists")
        if "groupName" in body and body["groupName"] not in {*portal.groups, "contactinformation"}:
            return error(400, "VALIDATION_ERROR", "Property group does not exist")
        where(portal)[body["name"]] = body
        return answer_json(body, 201)


def _not_found(id_: str, **context: str) -> dict[str, Any]:
    told: dict[str, Any] = {"ids": [id_], **{name: [value] for name, value in context.items()}}
    return {"status": "error", "category": "OBJECT_NOT_FOUND", "message": "Could not get some objects", "context": told}


def _batch(results: list[dict[str, Any]], errors: list[dict[str, Any]]) -> Response:
    body: dict[str, Any] = {"status": "COMPLETE", "results": results}
    if errors:
        body |= {"numErrors": len(errors), "errors": errors}
    return answer_json(body, 207 if errors else 200)
