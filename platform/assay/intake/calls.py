"""What must hold before a tracking call is accepted; what it means is worked out later."""

# The fields are named as they are on the wire.
# ruff: noqa: N815

from typing import Literal, NoReturn, get_args

import msgspec

from assay.intake.bodies import MAX_EVENT
from assay.intake.errors import BadCall
from assay_sdk.reading import explain, read_leniently

Call = Literal["identify", "track", "page", "screen", "group", "alias", "batch"]
CALLS: tuple[Call, ...] = get_args(Call)
#: Behind ``/v1/``: whole words, the first letters that browsers and phones send, and older libraries' word for a batch.
WORDS: dict[str, Call] = {call: call for call in CALLS} | {call[0]: call for call in CALLS} | {"import": "batch"}
MAX_ITEMS = 2500
MAX_MESSAGE_ID = 200

Id = str | int | None
Bag = dict[str, msgspec.Raw] | None


class _Single(msgspec.Struct, gc=False):
    userId: Id = None
    anonymousId: Id = None
    previousId: Id = None
    groupId: Id = None
    event: str | None = None
    messageId: str | None = None
    writeKey: str | None = None
    timestamp: str | None = None
    context: Bag = None
    traits: Bag = None
    properties: Bag = None


class _Batch(msgspec.Struct, gc=False):
    batch: list[msgspec.Raw]
    writeKey: str | None = None
    context: Bag = None


class _Keyed(msgspec.Struct, gc=False):
    writeKey: str | None = None


_single = msgspec.json.Decoder(_Single)
_batch = msgspec.json.Decoder(_Batch)
_keyed = msgspec.json.Decoder(_Keyed)


def check(call: Call, body: bytes) -> tuple[str | None, int]:
    """Raises BadCall unless ``body`` can be kept as this call; tells the write key in it and the number of items."""
    if not body.strip():
        raise BadCall("The body is empty; send a JSON object.", code="malformed_json")
    try:
        return _check_batch(body) if call == "batch" else (_check_single(call, body), 1)
    except msgspec.ValidationError as error:
        fault = explain(error)
        raise BadCall(fault.message.replace("The document", "The body"), field=fault.field) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        _refuse_malformed(body, error)
    except RecursionError:
        raise BadCall("The body is nested too deeply.", code="malformed_json") from None


def _check_single(call: Call, body: bytes) -> str | None:
    if len(body) > MAX_EVENT:
        raise BadCall(
            f"The event of {len(body):,} bytes is over the limit: {MAX_EVENT:,} bytes (32 KB).", code="event_too_large"
        )
    single = _single.decode(body)
    if _is_missing(single.userId) and _is_missing(single.anonymousId):
        raise BadCall("The call names nobody: userId or anonymousId is needed, as text.", field="userId")
    if call == "track" and _is_missing(single.event):
        raise BadCall("event is missing: a track call says what was done, as text.", field="event")
    if call == "group" and _is_missing(single.groupId):
        raise BadCall("groupId is missing: a group call says which company it is, as text.", field="groupId")
    if call == "alias" and _is_missing(single.previousId):
        raise BadCall("previousId is missing: an alias call says who it was before, as text.", field="previousId")
    if len(single.messageId or "") > MAX_MESSAGE_ID:
        raise BadCall(f"messageId is longer than {MAX_MESSAGE_ID} characters.", field="messageId")
    return single.writeKey


def _is_missing(value: Id) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _check_batch(body: bytes) -> tuple[str | None, int]:
    try:
        batch = _batch.decode(body)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return _check_lenient_batch(body, error)
    items = len(batch.batch)
    _refuse_many(items)
    if batch.writeKey is not None or not items:
        return batch.writeKey, items
    try:
        return _keyed.decode(batch.batch[0]).writeKey, items
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None, items


def _check_lenient_batch(body: bytes, error: Exception) -> tuple[str | None, int]:
    """One item's NaN or broken letter is that item's fault alone, and will be told as such."""
    try:
        batch = read_leniently(body)
    except ValueError:
        _refuse_malformed(body, error)
    if not isinstance(batch, dict) or not isinstance(batch.get("batch"), list):
        raise BadCall("batch must be a list.", field="batch")
    items = batch["batch"]
    _refuse_many(len(items))
    first = items[0] if items and isinstance(items[0], dict) else {}
    key = batch.get("writeKey") or first.get("writeKey")
    return key if isinstance(key, str) else None, len(items)


def _refuse_many(items: int) -> None:
    if items > MAX_ITEMS:
        raise BadCall(
            f"The batch has {items:,} items; at most {MAX_ITEMS:,} are accepted.", code="batch_too_large", field="batch"
        )


def _refuse_malformed(body: bytes, error: Exception) -> NoReturn:
    try:
        body.decode()
    except UnicodeDecodeError as broken:
        where = f"byte {broken.start} is not UTF-8"
    else:
        where = str(error).removeprefix("JSON is malformed: ")
        if "truncated" in where:
            where = (
                "it holds half a character, an escape such as \\ud83d without its other half"
                if _is_whole(body)
                else f"it ends too early, after byte {len(body)}"
            )
    raise BadCall(f"The body is not valid JSON: {where}.", code="malformed_json") from None


def _is_whole(body: bytes) -> bool:
    try:
        read_leniently(body)
    except ValueError:
        return False
    return True
