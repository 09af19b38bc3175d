"""The shapes of previews, replays and overlaps."""

from typing import Any

from marshmallow import Schema, fields, validate

from assay.api.door import Points

PLACE = "`stage:` and its name; `none` below all stages; `disqualified`; `outside` where the model does not apply"
SAMPLE = fields.Integer(
    validate=validate.Range(1, 10_000_000),
    metadata={"description": "Look at so many leads only, always the same ones; default: all"},
)


class PreviewQuery(Schema):
    sample = SAMPLE


class ReplayQuery(Schema):
    from_ = fields.AwareDateTime(data_key="from", metadata={"description": "Default: ninety days before the end"})
    to = fields.AwareDateTime(metadata={"description": "Default: now"})
    every = fields.String(
        load_default="7d", validate=validate.Length(1, 10), metadata={"description": "`12h`, `7d` or `2w`"}
    )
    sample = SAMPLE
    won = fields.String(validate=validate.Length(1, 200), metadata={"description": "An event type such as deal.won"})
    lost = fields.String(validate=validate.Length(1, 200), metadata={"description": "An event type such as deal.lost"})
    before = fields.Integer(
        load_default=30,
        validate=validate.Range(0, 365),
        metadata={"description": "How many days before an outcome to look"},
    )


class ProgressSchema(Schema):
    id = fields.Integer()
    state = fields.String(metadata={"description": "running, done, failed or cancelled"})
    leads_done = fields.Integer()
    leads_total = fields.Integer(allow_none=True, metadata={"description": "null: still to be counted"})
    hash = fields.String(metadata={"description": "Of the draft; the version that it is published as has the same"})
    live_version = fields.Integer(allow_none=True, metadata={"description": "What it is compared with, if any"})
    at = fields.AwareDateTime(metadata={"description": "The instant at which leads are scored; of a replay the last"})
    started_by = fields.String()
    created_at = fields.AwareDateTime()
    finished_at = fields.AwareDateTime(allow_none=True)
    error = fields.String(allow_none=True)


def place(**more: Any) -> fields.String:
    return fields.String(metadata={"description": PLACE}, **more)


class StageSchema(Schema):
    place = place()
    before = fields.Integer()
    after = fields.Integer()
    enters = fields.Integer(metadata={"description": "For so many leads, what hangs on entering this stage would fire"})
    leaves = fields.Integer()


class MoveSchema(Schema):
    before = place()
    after = place()
    leads = fields.Integer()


class CauseSchema(Schema):
    cause = fields.String(metadata={"description": "`rule:` or `override:` and its id; audience, limits or stages"})
    words = fields.String()
    leads = fields.Integer(metadata={"description": "That come to another stage because of it"})


class RuleSchema(Schema):
    rule = fields.String()
    words = fields.String()
    change = fields.String(metadata={"description": "added, removed, changed or same"})
    leads = fields.Integer(metadata={"description": "That it gives other points than before"})
    up = fields.Integer()
    down = fields.Integer()
    points = Points(metadata={"description": "Sum of all differences"})


class BinSchema(Schema):
    from_ = Points(attribute="from", data_key="from")
    before = fields.Integer()
    after = fields.Integer()


class TotalsSchema(Schema):
    width = Points()
    bins = fields.List(fields.Nested(BinSchema))


class TurnedSchema(Schema):
    before = fields.Integer()
    after = fields.Integer()
    newly = fields.Integer()
    no_more = fields.Integer()


class ScoredSchema(Schema):
    total = Points(allow_none=True)
    place = place()
    grade = fields.String(allow_none=True)


class RulePointsSchema(Schema):
    rule = fields.String()
    words = fields.String()
    points = Points(metadata={"description": "More or fewer than before"})


class MoverSchema(Schema):
    lead_id = fields.Integer()
    name = fields.String(allow_none=True)
    email = fields.String(allow_none=True)
    before = fields.Nested(ScoredSchema)
    after = fields.Nested(ScoredSchema)
    moved = Points()
    cause = fields.String()
    cause_words = fields.String()
    rules = fields.List(fields.Nested(RulePointsSchema), metadata={"description": "Those that move it most"})


class SharedSchema(Schema):
    model = fields.String()
    title = fields.String()
    leads = fields.Integer(metadata={"description": "Of the draft's leads, those that this model scores too"})
    precedence = fields.Integer()
    draft_precedence = fields.Integer()


class PreviewResultSchema(Schema):
    leads = fields.Integer()
    changed = fields.Integer()
    stages = fields.List(fields.Nested(StageSchema))
    moves = fields.List(fields.Nested(MoveSchema))
    causes = fields.List(fields.Nested(CauseSchema))
    rules = fields.List(fields.Nested(RuleSchema))
    totals = fields.Nested(TotalsSchema)
    disqualified = fields.Nested(TurnedSchema)
    overridden = fields.Nested(TurnedSchema)
    movers = fields.List(fields.Nested(MoverSchema))
    stage_movers = fields.List(fields.Nested(MoverSchema))
    overlaps = fields.List(fields.Nested(SharedSchema))


class PreviewSchema(ProgressSchema):
    result = fields.Nested(PreviewResultSchema, allow_none=True, metadata={"description": "null until it is done"})


class StudiesSchema(Schema):
    items = fields.List(fields.Nested(ProgressSchema), metadata={"description": "Newest first, without results"})


class SideSchema(Schema):
    stood = fields.Dict(keys=place(), values=fields.Integer())
    entered = fields.Dict(keys=place(), values=fields.Integer(), metadata={"description": "Since the instant before"})


class InstantSchema(Schema):
    at = fields.String(metadata={"format": "date-time"})
    draft = fields.Nested(SideSchema)
    live = fields.Nested(SideSchema, metadata={"description": "As today's live version would have said then"})
    recorded = fields.Nested(SideSchema, metadata={"description": "As the scores of that moment said"})


class CalledLeadSchema(Schema):
    lead_id = fields.Integer()
    name = fields.String(allow_none=True)
    email = fields.String(allow_none=True)
    draft = fields.String(metadata={"format": "date-time"})
    live = fields.String(metadata={"format": "date-time"})
    days = fields.Float(metadata={"description": "The draft is so much earlier; below nought: later"})


class CalledSchema(Schema):
    stage = fields.String(metadata={"description": "When leads first stood there or higher"})
    earlier = fields.Integer()
    earlier_by = fields.Float(allow_none=True, metadata={"description": "Median days"})
    later = fields.Integer()
    later_by = fields.Float(allow_none=True)
    same = fields.Integer()
    only_draft = fields.Integer()
    only_live = fields.Integer()
    leads = fields.List(fields.Nested(CalledLeadSchema))


class StoodSchema(Schema):
    place = place()
    draft = fields.Integer()
    live = fields.Integer()


class OutcomeSchema(Schema):
    outcome = fields.String(metadata={"description": "won or lost"})
    type = fields.String()
    leads = fields.Integer()
    not_known = fields.Integer(metadata={"description": "Not looked at so early, or not known then"})
    stood = fields.List(fields.Nested(StoodSchema), metadata={"description": "Where they stood so long before"})


class ReplayResultSchema(Schema):
    leads = fields.Integer()
    places = fields.List(place())
    instants = fields.List(fields.Nested(InstantSchema))
    called = fields.List(fields.Nested(CalledSchema))
    outcomes = fields.List(fields.Nested(OutcomeSchema))


class ReplaySchema(ProgressSchema):
    result = fields.Nested(ReplayResultSchema, allow_none=True, metadata={"description": "null until it is done"})


class LiveModelSchema(Schema):
    model = fields.String(attribute="name")
    title = fields.String()
    precedence = fields.Integer()
    leads = fields.Integer(metadata={"description": "That it scores"})
    alone = fields.Integer(metadata={"description": "That no other model scores"})
    leading = fields.Integer(metadata={"description": "For which it leads"})


class PairSchema(Schema):
    leader = fields.String()
    follower = fields.String()
    leads = fields.Integer()
    tied = fields.Boolean(metadata={"description": "Of equal precedence: the older model leads"})


class OverlapsSchema(Schema):
    leads = fields.Integer()
    uncovered = fields.Integer(metadata={"description": "Leads that no live model applies to"})
    models = fields.List(fields.Nested(LiveModelSchema))
    pairs = fields.List(fields.Nested(PairSchema), metadata={"description": "Models that share leads"})
