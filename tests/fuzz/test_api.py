"""Whatever the API's own description lets anybody think of, sent to the running server.

A few requests for each operation, the same every time. With ASSAY_FUZZ_EXAMPLES=200 all boundary cases are sent, and
so many made-up requests of each kind, good and bad, for each operation.
"""

from random import Random
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.checks import (
    content_type_conformance,
    missing_required_header,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
)
from schemathesis.config import GenerationConfig
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation import GenerationMode
from schemathesis.generation.meta import CoveragePhaseData, CoverageScenario

from assay.api.imports import FILE_TYPES, PART_TYPES
from assay_tenants.keys import issue_key
from tests.fuzz.amount import EXAMPLES, SEED

BOUNDARY_CASES = 3
PATIENCE = 30
OFTEN = 0.8
#: Values of bad requests are not judged: several routes tell of each record, or of each line of a model, in a 200.
CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    missing_required_header,
    unsupported_method,
]

for media_type in {*FILE_TYPES, *PART_TYPES} - {"application/octet-stream"}:
    schemathesis.serializer.alias(media_type, "application/octet-stream")


@pytest.fixture(scope="module")
def operations(port: int) -> list[Any]:
    """What takes things away comes last."""
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{port}/api/v1/openapi.json")
    return sorted((one.ok() for one in schema.get_all_operations()), key=lambda one: one.method == "delete")


class Visitor:
    """Sends cases, and writes down what should not be."""

    def __init__(self, own: dict[str, object]) -> None:
        self.own = own
        self.session = requests.Session()
        self.chance = Random(SEED)
        self.found: dict[tuple[str, str], str] = {}
        self.statuses: dict[str, set[int]] = {}

    def send(self, case: Any) -> None:
        self.lead_somewhere(case)
        answer = case.call(session=self.session, timeout=PATIENCE, allow_redirects=False)
        self.statuses.setdefault(case.operation.label, set()).add(answer.status_code)
        if not is_described(case, answer.status_code):
            self.note(case, f"{answer.status_code} is not described", answer)
        try:
            case.validate_response(answer, checks=CHECKS)
        except (Failure, FailureGroup) as problem:
            for one in getattr(problem, "exceptions", [problem]):
                self.note(case, f"{one.title}: {one.message}", answer)

    def note(self, case: Any, what: str, answer: Any) -> None:
        told = f"{case.as_curl_command()}\n{answer.status_code} {answer.text[:300]}"
        self.found.setdefault((case.operation.label, what), told)

    def lead_somewhere(self, case: Any) -> None:
        """Made-up ids find nothing, and a key that came before belongs to another request: most get better ones."""
        for location, container in (
            (ParameterLocation.PATH, case.path_parameters),
            (ParameterLocation.QUERY, case.query),
        ):
            made = case.meta.components.get(location)
            if made is None or made.mode is GenerationMode.NEGATIVE:
                continue
            for name in container:
                if name in self.own and self.chance.random() < OFTEN:
                    container[name] = str(self.own[name])
        if self.chance.random() < OFTEN:
            (case.headers or {}).pop("Idempotency-Key", None)

    def report(self) -> str:
        return "\n\n".join(f"{label}: {what}\n{example}" for (label, what), example in self.found.items())


def is_described(case: Any, status: int) -> bool:
    """Whether the operation tells of this very status; `default` says how errors look, not which there are."""
    data = case.meta.phase.data
    if isinstance(data, CoveragePhaseData) and data.scenario is CoverageScenario.UNSPECIFIED_HTTP_METHOD:
        # OPTIONS is answered by the framework.
        return status in (200, 405)
    return str(status) in case.operation.responses.status_codes


def boundary_cases(operation: Any) -> list[Any]:
    made = operation.schema.iter_coverage_cases(
        operation, generation_modes=list(GenerationMode), generation_config=GenerationConfig()
    )
    cases = list(made)
    return cases if EXAMPLES else Random(SEED).sample(cases, min(len(cases), BOUNDARY_CASES))


def make_up(visitor: Visitor, operation: Any, mode: GenerationMode, examples: int) -> None:
    @seed(SEED)
    @settings(
        max_examples=examples, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=HealthCheck
    )
    @given(operation.as_strategy(generation_mode=mode))
    def send(case: Any) -> None:
        visitor.send(case)

    send()


def test_with_a_key_that_may_everything(operations, victim, values) -> None:
    visitor = Visitor({name: own for name, (own, _) in values.items()})
    for operation in operations:
        if not visitor.statuses or "/keys" in operation.path:
            # One of these may take our own key away.
            secret = issue_key(victim.tenant_id, kind="api", name="Fuzz").secret
            visitor.session.headers["Authorization"] = f"Bearer {secret}"
        for case in boundary_cases(operation):
            visitor.send(case)
        for mode in GenerationMode:
            make_up(visitor, operation, mode, EXAMPLES or 1)
    assert not visitor.found, visitor.report()
    in_vain = [label for label, seen in visitor.statuses.items() if not any(status < 300 for status in seen)]
    assert len(in_vain) < len(visitor.statuses) / 4, in_vain


def test_without_a_key(operations) -> None:
    visitor = Visitor({})
    for operation in operations:
        make_up(visitor, operation, GenerationMode.POSITIVE, 1 + EXAMPLES // 10)
    assert not visitor.found, visitor.report()
    # 404 is for addresses that no operation has: a number that is too long, letters in its place.
    assert {label: seen for label, seen in visitor.statuses.items() if 401 not in seen or seen - {401, 404}} == {}
