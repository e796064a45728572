"""The state of an API key: its owner, its company, and its hours as an active token.

A key belongs to its first owner and its first company for its whole history, so no event needs to be kept. Facts are kept in
buckets, one row for each explicit user and company on the events, since these outrank the key's. The key's own row is
bounded: one bit per hour, and the key's hashes.
"""

from __future__ import annotations

import msgspec

from schemas.event import visitor_id
from streams.facts.compiled_definitions import CompiledDefinitions
from streams.facts.facts import NOTHING, Facts, SegmentValue, join, join_all
from streams.facts.hours import Hours
from streams.facts.segments import counted_segments
from streams.identity import internal_flags, key_hashes
from streams.identity.facts_by_company import FactsByCompany
from streams.identity.key_hashes import ALONE, Hashes, Parents
from streams.identity.subjects import publish_change
from streams.identity.subscribers import drop_subscribers, new_subscribers, subscribers_of
from streams.messages.outbox import BucketKey
from streams.messages.published_rows import Subject, activity_rows, segment_values
from streams.messages.updates import Alias, AliasUpdate, Bucket, Contribution, KeyParents, Link
from streams.state.batch_context import BatchContext
from streams.state.rolling_counts import UNCOUNTED, CountedState
from streams.state.rows import row_key


class ApiKey(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """State of one hash of a key. All but `hashes` is empty unless it is the key's first hash.

    `owner`, `company`: the earliest evidence. `hours`: active hours per environment. `segments`: values of segments. Both are
    of events that count. `visitor`: the facts of events without a known developer that no web alias holds; by company they have
    rows of their own. `internal`: some event without a known developer is internal.
    """

    owner: Link | None = None
    company: Link | None = None
    hours: dict[str, Hours] = {}
    visitor: Facts = NOTHING
    hashes: Hashes = ALONE
    segments: dict[int, SegmentValue] = {}
    internal: bool = False

    @property
    def parents(self) -> Parents:
        """The owner and company of the key."""
        return self.owner, self.company

    def developer_of(self, bucket: Bucket) -> str:
        """The user that the bucket's events belong to; '' if unknown."""
        return bucket.user or (self.owner[1] if self.owner else "")

    def company_of(self, bucket: Bucket) -> str:
        """The company that the bucket's events are stamped with; '' if it follows from the developer."""
        return bucket.company or (self.company[1] if self.company else "")


UNKNOWN = ApiKey()


def fold(context: BatchContext, alias: str, updates: list[AliasUpdate]) -> None:
    """Join updates into the key; emit what changed to its developers and companies; publish changed rows."""
    key = row_key(b"k", alias)
    before = context.rows.get(key, ApiKey) or UNKNOWN
    by_company = FactsByCompany(context, alias)
    hashes = key_hashes.receive(before.hashes, updates)
    flags = [flag for update in updates for flag in update.internal_flags]
    flagged = internal_flags.receive(context, alias, flags)
    if hashes.first(alias) == alias:
        after = _joined(context, alias, before, by_company, updates, flagged=flagged)
    else:
        after = _handed_over(context, alias, before, by_company, hashes.first(alias), updates)
    if hashes is not before.hashes:
        after = msgspec.structs.replace(after, hashes=hashes)
    if after != before:
        context.rows.put(key, after)
    new = new_subscribers(context, visitor_id("api_key", alias), (one for each in updates for one in each.subscribers))
    _emit(context, alias, before, after, by_company, new)


def drop(context: BatchContext, alias: str) -> None:
    """Delete the key's state and withdraw all that was emitted from it.

    `hashes` stays: the key's remaining events may come under any of them.
    """
    key = row_key(b"k", alias)
    before = context.rows.get(key, ApiKey) or UNKNOWN
    by_company = FactsByCompany(context, alias)
    _drop_buckets(context, alias, before, by_company)
    internal_flags.drop(context, alias)
    after = ApiKey(hashes=before.hashes)
    if after == UNKNOWN:
        context.rows.delete(key)
    else:
        context.rows.put(key, after)
    _emit(context, alias, before, after, by_company, [])
    # The events that remain name them again.
    drop_subscribers(context, visitor_id("api_key", alias))


def _joined(
    context: BatchContext,
    alias: str,
    before: ApiKey,
    by_company: FactsByCompany,
    updates: list[AliasUpdate],
    *,
    flagged: bool,
) -> ApiKey:
    """The state with the updates joined in; emits to developers. `flagged`: internal flags were received."""
    changed = _join_buckets(context, alias, updates)
    links = _joined_links(before, updates)
    moved = flagged or links is not before
    if not moved and not changed:
        return before
    if moved:
        changed = {(b.user, b.company, b.is_web): (b, b) for b in _buckets(context, alias)} | changed
    for old, new in changed.values():
        _emit_to_developer(context, alias, (before, old), (links, new))
    return _with_derived(context, alias, links, by_company, [new for _, new in changed.values()], rebuild=moved)


def _handed_over(
    context: BatchContext,
    alias: str,
    before: ApiKey,
    by_company: FactsByCompany,
    first: str,
    updates: list[AliasUpdate],
) -> ApiKey:
    """The state of a hash that is not the first one: forwards the updates and hands over its own facts, if it had any."""
    key_hashes.forward(context, first, updates)
    if before.hashes.first(alias) == alias:
        links = AliasUpdate(
            "api_key",
            alias,
            [before.owner] if before.owner else [],
            [before.company] if before.company else [],
            buckets=_drop_buckets(context, alias, before, by_company),
        )
        key_hashes.forward(context, first, [links])
    return ApiKey(hashes=before.hashes)


def _drop_buckets(context: BatchContext, alias: str, state: ApiKey, by_company: FactsByCompany) -> list[Bucket]:
    """Delete all buckets and withdraw them from developers; returns what they were."""
    buckets = _buckets(context, alias)
    for bucket in buckets:
        gone = Bucket(bucket.user, bucket.company, bucket.is_web, NOTHING)
        _emit_to_developer(context, alias, (state, bucket), (UNKNOWN, gone))
        context.rows.delete(_bucket_key(alias, bucket))
    by_company.rebuild(())
    return buckets


def _emit(
    context: BatchContext,
    alias: str,
    before: ApiKey,
    after: ApiKey,
    by_company: FactsByCompany,
    new_subscribers: list[Alias],
) -> None:
    """Emit what changed of the key to companies, to its other hashes and to subscribers; publish changed rows."""
    _emit_parents(context, alias, before, after, new_subscribers)
    key_hashes.emit_change(context, alias, (before.hashes, before.parents), (after.hashes, after.parents))
    _publish_token(context, alias, before, after)
    name = visitor_id("api_key", alias)
    publish_change(context, _visitor(name, before), _visitor(name, after))
    # Under the key's own company are the facts that name none.
    was, now = (None if state.visitor == NOTHING or state.visitor.internal else "" for state in (before, after))
    by_company.emit_to_companies(name, was, now)


def _emit_parents(
    context: BatchContext, alias: str, before: ApiKey, after: ApiKey, new_subscribers: list[Alias]
) -> None:
    """Emit the owner and company to the web aliases that hold events with the key."""
    was, now = (key_hashes.parents_of(alias, state.hashes, state.parents) for state in (before, after))
    owner, company = (link[1] if link else "" for link in now)
    to = new_subscribers if owner or company else []
    if was != now:
        to = subscribers_of(context, visitor_id("api_key", alias))
    for subscriber in to:
        context.outbox.alias(*subscriber).key_parents.append(KeyParents(alias, owner, company, context.version))


def _join_buckets(
    context: BatchContext, alias: str, updates: list[AliasUpdate]
) -> dict[BucketKey, tuple[Bucket, Bucket]]:
    """Join deltas into the bucket rows; returns (old, new) of all buckets that have a delta.

    Unchanged ones too: an interrupted batch may have written them and not the key's own row.
    """
    touched: dict[BucketKey, tuple[Bucket, Bucket]] = {}
    for update in updates:
        for delta in update.buckets:
            key = _bucket_key(alias, delta)
            old = context.rows.get(key, Bucket) or Bucket(delta.user, delta.company, delta.is_web, NOTHING)
            facts = join(old.facts, delta.facts, context.compiled.cuts)
            new = old
            if facts is not old.facts:
                new = Bucket(delta.user, delta.company, delta.is_web, facts)
                context.rows.put(key, new)
            bucket = (delta.user, delta.company, delta.is_web)
            touched[bucket] = (touched.get(bucket, (old, old))[0], new)
    return touched


def _bucket_key(alias: str, bucket: Bucket) -> bytes:
    return row_key(b"b", alias, bucket.user, bucket.company, "web" if bucket.is_web else "")


def _buckets(context: BatchContext, alias: str) -> list[Bucket]:
    return [bucket for _, bucket in context.rows.scan(row_key(b"b", alias), Bucket)]


def _joined_links(state: ApiKey, updates: list[AliasUpdate]) -> ApiKey:
    """The state with the earliest evidence joined in; `state` itself if nothing is new."""
    owner, company = state.owner, state.company
    for update in updates:
        owner = min([owner, *update.users] if owner else update.users, default=None)
        company = min([company, *update.companies] if company else update.companies, default=None)
    if (owner, company) == (state.owner, state.company):
        return state
    return msgspec.structs.replace(state, owner=owner, company=company)


def _emit_to_developer(
    context: BatchContext, alias: str, before: tuple[ApiKey, Bucket], after: tuple[ApiKey, Bucket]
) -> None:
    """Emit a bucket's facts to its developer, and a withdrawal to the developer it belonged to before."""
    old_developer, new_developer = before[0].developer_of(before[1]), after[0].developer_of(after[1])
    bucket = after[1]
    # The explicit parts are in the name: two buckets of one key may reach one developer under one company.
    part = "named" if bucket.user else "web" if bucket.is_web else "owned"
    contributor = f"{visitor_id('api_key', alias)}/{part}/{bucket.company}"
    if old_developer and old_developer != new_developer and before[1].facts != NOTHING:
        context.outbox.developer(old_developer).contributions.append(
            Contribution(contributor, "", NOTHING, context.version, alias)
        )
    if new_developer:
        company = after[0].company_of(bucket)
        same = (old_developer, before[0].company_of(before[1]), before[1].facts)
        if same != (new_developer, company, bucket.facts):
            contribution = Contribution(contributor, company, bucket.facts, context.version, alias)
            context.outbox.developer(new_developer).contributions.append(contribution)


def _with_derived(
    context: BatchContext,
    alias: str,
    state: ApiKey,
    by_company: FactsByCompany,
    buckets: list[Bucket],
    *,
    rebuild: bool,
) -> ApiKey:
    """The state with `hours`, `segments` and `visitor` joined with changed buckets.

    `rebuild`: they are recomputed instead; then `buckets` are all there are.
    """
    ownerless = [bucket for bucket in buckets if not state.developer_of(bucket)]
    unknown = [(state.company_of(bucket), bucket.facts) for bucket in ownerless if not bucket.is_web]
    internal = any(bucket.facts.internal for bucket in ownerless) or (state.internal and not rebuild)
    if rebuild:
        visitor = by_company.rebuild(unknown)
    else:
        for company, facts in unknown:
            by_company.join(company, facts)
        visitor = join_all([state.visitor, *(facts for _, facts in unknown)], context.compiled.cuts)
    known = Facts(hours=state.hours, segments=state.segments)
    if internal and not state.internal:
        # The key has just turned out to be internal: its hours no longer count.
        rebuild, buckets = True, _buckets(context, alias)
    counted = [NOTHING if rebuild else known]
    for bucket in buckets:
        developer = state.developer_of(bucket)
        if not (internal_flags.is_internal(context, alias, developer) if developer else internal):
            counted.append(Facts(hours=bucket.facts.hours, segments=bucket.facts.segments))
    use = join_all(counted, context.compiled.cuts)
    return msgspec.structs.replace(state, hours=use.hours, visitor=visitor, segments=use.segments, internal=internal)


def _publish_token(context: BatchContext, alias: str, before: ApiKey, after: ApiKey) -> None:
    if (before.hours, before.segments) == (after.hours, after.segments):
        return
    for row in activity_rows("token", alias, before.hours, after.hours, context.version):
        context.outbox.publish(row)
    context.rolling.move("developer", _token(context.compiled, before), _token(context.compiled, after))


def _token(compiled: CompiledDefinitions, state: ApiKey) -> CountedState:
    hours = state.hours.get("production")
    if not hours:
        return UNCOUNTED
    values = segment_values(compiled, Facts(segments=state.segments))
    return CountedState({"active_tokens": hours}, {}, counted_segments(compiled.definitions, values))


def _visitor(name: str, state: ApiKey) -> Subject | None:
    """The key as a subject of its own, while its events have no known developer."""
    if state.visitor == NOTHING:
        return None
    company = state.company[1] if state.company else ""
    return Subject("developer", name, "visitor", state.visitor, company, state.visitor.internal)
