"""Errors in HubSpot's words."""

from typing import Any

from werkzeug.wrappers import Response

from assay_sdk.testing import answer_json

CORRELATION = "00000000-0000-4000-8000-000000000000"


def error(status: int, category: str, message: str, **beside: Any) -> Response:
    body = {"status": "error", "message": message, "correlationId": CORRELATION, "category": category, **beside}
    return answer_json(body, status)


def missing_scope(scope: str) -> Response:
    context = {"requiredGranularScopes": [scope]}
    said = "This app hasn't been granted all required scopes to make this call."
    return error(
        403, "MISSING_SCOPES", said, errors=[{"message": "One or more scopes are required.", "context": context}]
    )


def too_many(policy: str, words: str) -> Response:
    body = {
        "status": "error",
        "message": f"You have reached your {words} limit.",
        "errorType": "RATE_LIMIT",
        "policyName": policy,
        "correlationId": CORRELATION,
    }
    return answer_json(body, 429)


def login_error(code: str, word: str, message: str) -> Response:
    return answer_json({"error": code, "error_description": message, "status": word, "message": message}, 400)
