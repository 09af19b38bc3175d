"""The JSON Schema of a model document, told by the words that read it, so that editors can help and check."""

import re
from typing import Any

from marshmallow import fields

from assay.scoring.language.comparisons import WORDS
from assay.scoring.language.conditions import JOINTS, MOST_NAME, EventWords, ModelAnswers
from assay.scoring.language.examples import Expectations
from assay.scoring.language.fields import JsonSchema, Told
from assay.scoring.language.limits import MOST_RULES
from assay.scoring.language.parameters import MOST_PARAMETERS, ParametersField
from assay.scoring.language.schemas import ModelWords
from assay.scoring.language.shapes import Named, Part, Parts, Words
from assay.scoring.language.standing import JudgementsOrNot

_LINK = re.compile(r"\[([^]]*)\]\(#[^)]*\)")

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> JsonSchema:
    """Each word with its values and its help, but not what two distant parts must agree on."""
    model = _words(ModelWords)
    model["properties"]["rules"] |= {"minItems": 1, "maxItems": MOST_RULES}
    return {
        "$schema": DIALECT,
        "$id": "model.schema.json",
        "title": "Scoring model",
        "description": "Who earns points for what.",
        **model,
        "$defs": {
            "traitCondition": _condition("trait", [_words(EventWords), _words(ModelAnswers)]),
            "propertyCondition": _condition("property", []),
        },
    }


def _words(words: type[Words]) -> JsonSchema:
    described = {field.data_key or name: field for name, field in words().fields.items()}
    found: JsonSchema = {
        "type": "object",
        "additionalProperties": False,
        "properties": {word: _helped(field) for word, field in described.items()},
    }
    required = [word for word, field in described.items() if field.required]
    if required:
        found["required"] = required
    choices = [{"oneOf": [{"required": [word]} for word in choice]} for choice in words.one_of]
    rest = [*choices, *words.beside]
    return found | ({"allOf": rest} if rest else {})


def _helped(field: fields.Field[Any]) -> JsonSchema:
    schema = _schema(field)
    if field.allow_none:
        schema = {"anyOf": [schema, {"type": "null"}]}
    doc = _LINK.sub(r"\1", field.metadata["doc"])
    return {"description": f"{doc}. Example: {field.metadata['example']}", **schema}


def _schema(field: fields.Field[Any]) -> JsonSchema:
    match field:
        case Part():
            return _words(field.words)
        case Parts():
            return {"type": "array", "items": _words(field.words)}
        case Named():
            return _names(_nullable(_words(field.words)))
        case ParametersField():
            short = ParametersField.short.json_schema()
            return _names({"anyOf": [short, _words(field.words)]}) | {"maxProperties": MOST_PARAMETERS}
        case JudgementsOrNot():
            return {"anyOf": [{"type": "boolean"}, _words(field.words)]}
        case Expectations():
            return {"anyOf": [_words(field.words), {"type": "array", "minItems": 1, "items": _words(field.words)}]}
        case Told():
            return field.json_schema()
    raise TypeError(f"{type(field).__name__} tells no schema")


def _nullable(schema: JsonSchema) -> JsonSchema:
    return {"anyOf": [schema, {"type": "null"}]}


def _names(each: JsonSchema) -> JsonSchema:
    # No pattern: editors' `\w` knows ASCII alone, and names may be of any language.
    return {"type": "object", "propertyNames": {"minLength": 1, "maxLength": 100}, "additionalProperties": each}


def _condition(subject: str, leaves: list[JsonSchema]) -> JsonSchema:
    itself = {"$ref": f"#/$defs/{subject}Condition"}
    several = {"type": "array", "minItems": 1, "items": itself}
    joints = [
        _joint(word, {"description": doc, **(itself if word == "not" else several)}) for word, doc in JOINTS.items()
    ]
    named = {"type": "string", "pattern": r"\S", "maxLength": MOST_NAME}
    comparison = {
        "type": "object",
        "additionalProperties": False,
        "required": [subject],
        "minProperties": 2,
        "properties": {
            subject: {"description": f"the {subject} to compare", **named},
            **{
                name: {"description": f"true when the value {word.doc}. Example: {word.example}", **word.schema}
                for name, word in WORDS.items()
            },
        },
    }
    return {"anyOf": [comparison, *joints, *leaves]}


def _joint(word: str, schema: JsonSchema) -> JsonSchema:
    return {"type": "object", "additionalProperties": False, "required": [word], "properties": {word: schema}}
