"""The owner of an API key: whose it is, which company's, and whether it is an active token.

A key belongs to its first owner and its first company for its whole history, so no event needs to be kept. Events that
name a user or a company themselves are kept apart in buckets, one row each, since theirs outranks the key's. The key's
own row is bounded by one bit per hour, one entry per internal user, and the hashes that the key is known by.
"""

from __future__ import annotations

import msgspec

from schemas.event import visitor_id
from streams import key_hashes
from streams.facts import NOTHING, Facts, SegmentValue, join, join_all
from streams.hours import Hours, union
from streams.key_hashes import ALONE, Hashes, Parents
from streams.plan import Plan
from streams.published import Subject, activity_rows, segment_values
from streams.rolling import NOWHERE, Standing
from streams.rows import row_key
from streams.segments import counted_segments
from streams.step import Step
from streams.subjects import publish_change
from streams.updates import AliasUpdate, Bucket, Child, Link
from streams.web_aliases import tell_companies


class ApiKey(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """State of one hash of a key. `owner`, `company`: the earliest evidence. `internal`: what users said of themselves, with the
    version of their word. `hours`: active hours per environment by events that count. `visitor`: what the key
    contributes to companies, by company, while its developer is unknown, and its facts as a subject. `segments`: values of segments,
    by the events that count. All but `internal`
    and `hashes` is empty where another hash is the first one.
    """

    owner: Link | None = None
    company: Link | None = None
    internal: dict[str, tuple[bool, int]] = {}
    hours: dict[str, Hours] = {}
    visitor: dict[str, Facts] = {}
    hashes: Hashes = ALONE
    segments: dict[int, SegmentValue] = {}

    @property
    def parents(self) -> Parents:
        """Whose the key is."""
        return self.owner, self.company

    def developer_of(self, bucket: Bucket) -> str:
        """The user whose the bucket's events are; '' if unknown."""
        return bucket.user or (self.owner[1] if self.owner else "")

    def company_of(self, bucket: Bucket) -> str:
        """The company that the bucket's events are stamped with; '' if it follows from the developer."""
        return bucket.company or (self.company[1] if self.company else "")

    def is_internal(self, user: str) -> bool:
        """Whether the user has said that he is internal."""
        return self.internal.get(user, (False, 0))[0]


UNKNOWN = ApiKey()


def fold(step: Step, alias: str, updates: list[AliasUpdate]) -> None:
    """Join updates into the key, tell its developers and companies what changed, publish what is new."""
    key = row_key(b"k", alias)
    before = step.rows.get(key, ApiKey) or UNKNOWN
    hashes = key_hashes.heard(before.hashes, updates)
    if hashes.first(alias) == alias:
        after = _joined(step, alias, before, updates)
    else:
        after = _handed_over(step, alias, before, hashes.first(alias), updates)
    if hashes is not before.hashes:
        after = msgspec.structs.replace(after, hashes=hashes)
    if after != before:
        step.rows.put(key, after)
        _tell(step, alias, before, after)


def forget(step: Step, alias: str) -> None:
    """Drop the key and take back all that was said of it.

    Its other hashes stay known: what is left of the key's events may have come under any of them.
    """
    key = row_key(b"k", alias)
    before = step.rows.get(key, ApiKey) or UNKNOWN
    _drop_buckets(step, alias, before)
    after = ApiKey(hashes=before.hashes)
    if after == UNKNOWN:
        step.rows.delete(key)
    else:
        step.rows.put(key, after)
    _tell(step, alias, before, after)


def _joined(step: Step, alias: str, before: ApiKey, updates: list[AliasUpdate]) -> ApiKey:
    """The state with the updates joined in; tells developers what changed."""
    touched = _join_buckets(step, alias, updates)
    links = _joined_links(before, updates)
    moved = links is not before
    if not moved and not touched:
        return before
    changed = {bucket_key: (old, new) for bucket_key, (old, new) in touched.items()}
    if moved:
        changed = {(b.user, b.company): (b, b) for b in _buckets(step, alias)} | changed
    for old, new in changed.values():
        _tell_developer(step, alias, (before, old), (links, new))
    return _with_derived(step, alias, links, [new for _, new in changed.values()], moved)


def _handed_over(step: Step, alias: str, before: ApiKey, first: str, updates: list[AliasUpdate]) -> ApiKey:
    """The state of a hash that is not the first one: passes on the updates, and what it had taken for its own."""
    key_hashes.forward(step, first, updates)
    if before.hashes.first(alias) == alias:
        links = AliasUpdate(
            "api_key",
            alias,
            [before.owner] if before.owner else [],
            [before.company] if before.company else [],
            buckets=_drop_buckets(step, alias, before),
        )
        key_hashes.forward(step, first, [links])
    return ApiKey(internal=_joined_internal(before.internal, updates), hashes=before.hashes)


def _drop_buckets(step: Step, alias: str, state: ApiKey) -> list[Bucket]:
    """Delete all buckets and take back what was said of them to developers; returns what they were."""
    buckets = _buckets(step, alias)
    for bucket in buckets:
        gone = Bucket(bucket.user, bucket.company, NOTHING)
        _tell_developer(step, alias, (state, bucket), (UNKNOWN, gone))
        step.rows.delete(row_key(b"b", alias, bucket.user, bucket.company))
    return buckets


def _tell(step: Step, alias: str, before: ApiKey, after: ApiKey) -> None:
    """Tell companies and the key's other hashes what changed of it, and publish it."""
    key_hashes.tell_change(step, alias, (before.hashes, before.parents), (after.hashes, after.parents))
    _publish_token(step, alias, before, after)
    name = visitor_id("api_key", alias)
    was, now = _visitor(step.plan, name, before), _visitor(step.plan, name, after)
    publish_change(step, was, now)
    tell_companies(step, name, _company_shares(was, before), _company_shares(now, after))


def _join_buckets(step: Step, alias: str, updates: list[AliasUpdate]) -> dict[tuple[str, str], tuple[Bucket, Bucket]]:
    """Join deltas into the bucket rows; the (old, new) of those that the deltas are about.

    Also of those that did not change: a batch that was interrupted may have written them and not the key's own row.
    """
    touched: dict[tuple[str, str], tuple[Bucket, Bucket]] = {}
    for update in updates:
        for delta in update.buckets:
            key = row_key(b"b", alias, delta.user, delta.company)
            old = step.rows.get(key, Bucket) or Bucket(delta.user, delta.company, NOTHING)
            facts = join(old.facts, delta.facts, step.plan.cuts)
            new = old
            if facts is not old.facts:
                new = Bucket(delta.user, delta.company, facts)
                step.rows.put(key, new)
            first = touched.get((delta.user, delta.company), (old, old))[0]
            touched[delta.user, delta.company] = (first, new)
    return touched


def _buckets(step: Step, alias: str) -> list[Bucket]:
    return [bucket for _, bucket in step.rows.scan(row_key(b"b", alias), Bucket)]


def _joined_links(state: ApiKey, updates: list[AliasUpdate]) -> ApiKey:
    """The state with earliest evidence and latest words of users joined in; `state` itself if nothing is new."""
    owner, company, internal = state.owner, state.company, _joined_internal(state.internal, updates)
    for update in updates:
        owner = min([owner, *update.users] if owner else update.users, default=None)
        company = min([company, *update.companies] if company else update.companies, default=None)
    if (owner, company) == (state.owner, state.company) and internal is state.internal:
        return state
    return msgspec.structs.replace(state, owner=owner, company=company, internal=internal)


def _joined_internal(internal: dict[str, tuple[bool, int]], updates: list[AliasUpdate]) -> dict[str, tuple[bool, int]]:
    """The latest word of every user; `internal` itself if nothing is new."""
    for update in updates:
        for word in update.internal_users:
            known = internal.get(word.user)
            if known is None or word.version > known[1]:
                internal = {**internal, word.user: (word.internal, word.version)}
    return internal


def _tell_developer(step: Step, alias: str, before: tuple[ApiKey, Bucket], after: tuple[ApiKey, Bucket]) -> None:
    """Tell a bucket's developer of its facts, and the one it belonged to before that it is gone."""
    old_developer, new_developer = before[0].developer_of(before[1]), after[0].developer_of(after[1])
    bucket = after[1]
    # The explicit parts are in the name: two buckets of one key may reach one developer under one company.
    child = f"{visitor_id('api_key', alias)}/{'named' if bucket.user else 'owned'}/{bucket.company}"
    if old_developer and old_developer != new_developer and before[1].facts != NOTHING:
        step.outbox.developer(old_developer).children.append(Child(child, "", NOTHING, step.version, alias))
    if new_developer:
        company = after[0].company_of(bucket)
        same = (old_developer, before[0].company_of(before[1]), before[1].facts)
        if same != (new_developer, company, bucket.facts):
            word = Child(child, company, bucket.facts, step.version, alias)
            step.outbox.developer(new_developer).children.append(word)


def _with_derived(step: Step, alias: str, state: ApiKey, changed: list[Bucket], moved: bool) -> ApiKey:
    """The state with `hours` and `visitor` brought up to date; from all buckets if links moved."""
    is_visitor = any(not state.developer_of(bucket) for bucket in changed)
    buckets = _buckets(step, alias) if moved or is_visitor else changed
    visitor: dict[str, Facts] = {}
    hours, segments = ({}, {}) if moved else (state.hours, state.segments)
    for bucket in buckets:
        if not state.developer_of(bucket):
            company = state.company_of(bucket)
            visitor[company] = join(visitor.get(company, NOTHING), bucket.facts, step.plan.cuts)
    if not moved and not is_visitor:
        visitor = state.visitor
    visitor_internal = any(facts.internal for facts in visitor.values())
    if visitor_internal and not any(facts.internal for facts in state.visitor.values()):
        # The visitor has just turned out to be internal: what it added to the hours goes, so they are built anew.
        hours, segments, buckets = {}, {}, _buckets(step, alias)
    for bucket in buckets:
        developer = state.developer_of(bucket)
        if visitor_internal if not developer else state.is_internal(developer):
            continue
        for environment, active in bucket.facts.hours.items():
            known = hours.get(environment)
            hours = {**hours, environment: active if known is None else union(known, active)}
        if bucket.facts.segments:
            segments = join(Facts(segments=segments), Facts(segments=bucket.facts.segments), step.plan.cuts).segments
    return msgspec.structs.replace(state, hours=hours, visitor=visitor, segments=segments)


def _publish_token(step: Step, alias: str, before: ApiKey, after: ApiKey) -> None:
    if (before.hours, before.segments) == (after.hours, after.segments):
        return
    for row in activity_rows("token", alias, before.hours, after.hours, step.version):
        step.outbox.publish(row)
    step.rolling.move("developer", _token(step.plan, before), _token(step.plan, after))


def _token(plan: Plan, state: ApiKey) -> Standing:
    hours = state.hours.get("production")
    if not hours:
        return NOWHERE
    values = segment_values(plan, Facts(segments=state.segments))
    return Standing({"active_tokens": hours}, {}, counted_segments(plan.definitions, values))


def _visitor(plan: Plan, name: str, state: ApiKey) -> Subject | None:
    """The key as a subject of its own, while nobody is known behind its events."""
    if not state.visitor:
        return None
    facts = join_all(state.visitor.values(), plan.cuts)
    company = state.company[1] if state.company else ""
    return Subject("developer", name, "visitor", facts, company, facts.internal)


def _company_shares(visitor: Subject | None, state: ApiKey) -> dict[str, Facts]:
    if visitor is None or visitor.is_internal:
        return {}
    return {company: facts for company, facts in state.visitor.items() if company}
