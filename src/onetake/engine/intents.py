"""Intents: what is to be sent, written down whole before anything is sent."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import sqlalchemy as sa

from onetake.assets import LoadedAsset
from onetake.clock import Clock
from onetake.driver import Driver, PreparedAsset
from onetake.engine import bodies, callbacks
from onetake.engine.holding import Holder
from onetake.engine.journal import Journal
from onetake.engine.publishing import Publisher
from onetake.engine.reserving import Budgets
from onetake.engine.traffic import Traffic
from onetake.errors import KeyConflict, RequestError, SubmissionUnknown
from onetake.fitting import FittedRequest
from onetake.job import Delivery, JobState, Submission, new_job_id
from onetake.ledger import spending, store
from onetake.ledger.records import Account, JobRecord
from onetake.money import Money


@dataclass(frozen=True)
class Intent:
    """What `Submitter.intend` writes down.

    Attributes:
        fitted: the request.
        estimate: its estimate as plain JSON.
        typical_seconds: usual run time in this environment.
        reserve: what it may cost at most, in ``currency``; None: unknown.
        currency: of the reserve, or None.
        retry: the key's ended job may be followed by a child.
        reuse: a delivered job that asked for exactly the same may be returned.
        reuse_since: only one that was made since then, in seconds since the epoch.
        step: it is a step of a chain: a twin whose outcome is unknown must be settled first.
        facts_only: of a twin the facts are wanted, not the files.
        whole: what it may cost at most with the paid steps that come first; None: unknown.
        approve: refuses what is too dear, or not what was approved; only asked about what will
            be paid for.
        first: does the paid steps that come first, and returns the request with their outcomes;
            is told the job that the chain ends with.
        ends_with: the last job of the chain that this is a step of, or None.
    """

    fitted: FittedRequest
    estimate: Mapping[str, Any]
    typical_seconds: float
    reserve: Decimal | None = None
    currency: str | None = None
    retry: bool = False
    reuse: bool = False
    reuse_since: float = 0.0
    step: bool = False
    facts_only: bool = False
    whole: Decimal | None = None
    first: Callable[[FittedRequest, str], Awaitable[FittedRequest]] | None = None
    ends_with: str | None = None
    approve: Callable[[], None] = lambda: None


class IntentWriter:
    """Turns requests into jobs: the one that a key names, a twin to reuse, or a new intent."""

    def __init__(
        self,
        driver: Driver,
        journal: Journal,
        account: Account,
        blobs: bodies.BlobStore,
        clock: Clock,
        traffic: Traffic,
        budgets: Budgets,
        publisher: Publisher,
    ) -> None:
        self._publisher = publisher
        self._driver = driver
        self._journal = journal
        self._account = account
        self._blobs = blobs
        self._clock = clock
        self._traffic = traffic
        self._budgets = budgets
        self._holder = Holder(journal, budgets)
        self._verified = False
        self._verifying = anyio.Lock()

    async def intend(self, intent: Intent) -> JobRecord:
        """Return the job for a request: the one that its key names, or a new intent.

        Raises:
            KeyConflict: the key was used for another request.
            OnetakeError: the request cannot be expressed, or its files cannot be made ready.
        """
        known = await self._known(intent)
        if known is not None:
            return known
        intent.approve()
        job_id = new_job_id(self._clock.now())
        await self._verify()

        async def write() -> tuple[JobRecord, bool]:
            values = await self._values(intent, job_id)
            return await self._journal.ledger.run(
                lambda connection: self._insert(connection, intent, job_id, values)
            )

        if intent.first is None:
            record, created = await write()
        else:
            cost = _money(intent.whole, intent.currency)
            record, created = await self._holder.during(job_id, cost, intent.fitted.tags, write)
        if created:
            self._journal.tell(record, "intended", None)
        return record

    async def _verify(self) -> None:
        """Let a wrong key show before anything is uploaded, written or paid."""
        async with self._verifying:
            if not self._verified:
                await self._driver.verify()
                self._verified = True

    async def _known(self, intent: Intent) -> JobRecord | None:
        def look(connection: sa.Connection) -> JobRecord | None:
            account = store.account_id(connection, self._account)
            return self._look(connection, account, intent)[0]

        return await self._journal.ledger.run(look)

    def _look(
        self, connection: sa.Connection, account: int, intent: Intent
    ) -> tuple[JobRecord | None, JobRecord | None]:
        """Return the job that is meant; or else the ended one whose key a child may take over.

        One read decides both: between two, another process may have written the job that is
        meant, and it would be taken for the ended one.
        """
        key, parent = intent.fitted.key, None
        if key is not None:
            holder = store.by_key(connection, account, key)
            if holder is not None:
                _same_request(holder, fingerprint(intent.fitted))
                ended = holder.state.ended and holder.state is not JobState.DELIVERED
                if not (ended and intent.retry):
                    return holder, None
                parent = holder
        twin = self._reusable(connection, account, intent, parent) if intent.reuse else None
        return twin, parent

    def _reusable(
        self,
        connection: sa.Connection,
        account: int,
        intent: Intent,
        parent: JobRecord | None,
    ) -> JobRecord | None:
        """Return a delivered twin, else one that is under way; bind the key to it."""
        twins = store.by_fingerprint(connection, account, fingerprint(intent.fitted))
        twins = [twin for twin in twins if twin.created_at >= intent.reuse_since]
        delivered = [twin for twin in twins if intent.facts_only or _is_here(twin)]
        delivered = [twin for twin in delivered if twin.delivery is Delivery.DELIVERED]
        running = [
            twin
            for twin in twins
            if twin.submission is not Submission.UNKNOWN and not twin.state.ended
        ]
        chosen = next(iter([*delivered, *running]), None)
        lost = [twin for twin in twins if twin.submission is Submission.UNKNOWN]
        if chosen is None and intent.step and lost:
            raise _unsettled_step(lost[0])
        key = intent.fitted.key
        if chosen is None or key is None or chosen.key is not None:
            return chosen
        if parent is not None:
            store.release_key(connection, parent)
        if store.bind_key(connection, chosen.id, key):
            return store.get(connection, chosen.id)
        return self._look(connection, account, intent)[0]  # another process was faster

    async def _values(self, intent: Intent, job_id: str) -> dict[str, Any]:
        proof = callbacks.new_proof()
        ready = intent.fitted
        if intent.first is not None:
            ready = await intent.first(ready, job_id)
        fitted = _with_address(ready, job_id, proof)
        async with self._traffic.uploads:
            prepared = [await self._prepared(asset, fitted) for asset in fitted.assets]
            arranged = await self._driver.arrange(fitted, prepared)
        fitted = dataclasses.replace(fitted, facts={**fitted.facts, "arranged": dict(arranged)})
        submission = self._driver.prepare(fitted, job_id, prepared)
        await anyio.to_thread.run_sync(self._keep_blobs, prepared)
        stored = bodies.stored_form(dataclasses.asdict(dataclasses.replace(submission, body={})))
        stored["body"] = bodies.stored_form(submission.body)
        body = await anyio.to_thread.run_sync(_encoded, stored["body"], self._blobs)
        now = self._clock.now()
        return {
            "id": job_id,
            "key": fitted.key,
            "key_current": True,
            "model": fitted.card.name,
            "fingerprint": fingerprint(intent.fitted),
            "request": _described(fitted),
            "submission_body": stored,
            "body_sha256": hashlib.sha256(body).hexdigest(),
            "resend": fitted.card.resend,
            "typical_seconds": intent.typical_seconds,
            "submission": Submission.INTENT.value,
            "delivery": Delivery.PENDING.value,
            "proof": proof,
            "estimate": dict(intent.estimate),
            "reserved": None if intent.reserve is None else spending.millionths(intent.reserve),
            "currency": intent.currency,
            "run": self._budgets.run,
            "artifacts": [],
            "notes": [*fitted.notes, *submission.notes],
            "created_at": now,
            "updated_at": now,
        }

    async def _prepared(self, asset: LoadedAsset, fitted: FittedRequest) -> PreparedAsset:
        reachable = await self._publisher.reachable(asset, fitted.card)
        return await self._driver.prepare_asset(reachable, fitted.card)

    def _keep_blobs(self, prepared: list[PreparedAsset]) -> None:
        for item in prepared:
            if not isinstance(item.value, str) and item.asset.data is not None:
                self._blobs.keep(item.asset.sha256, item.asset.data)

    def _insert(
        self, connection: sa.Connection, intent: Intent, job_id: str, values: dict[str, Any]
    ) -> tuple[JobRecord, bool]:
        """Insert the intent, unless another worker was faster with the same key."""
        account = store.account_id(connection, self._account)
        if intent.reuse:  # two processes must not both find that there is no twin
            store.lock_account(connection, account)
        while True:
            known, parent = self._look(connection, account, intent)
            spending.let_go(connection, job_id)
            if known is not None:
                return known, False
            cost = _money(intent.reserve, intent.currency)
            if intent.ends_with is not None and cost is not None:
                spending.shrink(connection, intent.ends_with, spending.millionths(cost.amount))
            self._budgets.check(connection, values["created_at"], cost, intent.fitted.tags)
            if parent is not None and not store.release_key(connection, parent):
                continue
            parent_id = None if parent is None else parent.id
            if store.insert(connection, {**values, "account_id": account, "parent_id": parent_id}):
                break
        spending.tag(connection, job_id, intent.fitted.tags)
        store.note(connection, job_id, values["created_at"], "intended", {})
        record = store.get(connection, job_id)
        assert record is not None
        return record, True


def _money(amount: Decimal | None, currency: str | None) -> Money | None:
    return None if amount is None or currency is None else Money(amount, currency)


def _unsettled_step(twin: JobRecord) -> SubmissionUnknown:
    return SubmissionUnknown(
        f"job {twin.id} ({twin.model}) is a step of this one, and whether it exists is unknown.",
        provider=twin.account.provider,
        job_id=twin.id,
        hint=f"`onetake jobs wait {twin.id}` looks again; `onetake jobs abandon {twin.id}` gives "
        "it up, and the step is then paid anew.",
    )


def _is_here(twin: JobRecord) -> bool:
    """Say whether a job's files are still where they were delivered to."""
    paths = [Path(item["path"]) for item in twin.artifacts]
    return all(path.is_file() for path in paths)


def _with_address(fitted: FittedRequest, job_id: str, proof: str) -> FittedRequest:
    """Let the callback's address tell whose it is."""
    url = fitted.parameters.get("callback_url")
    if url is None:
        return fitted
    told = {**fitted.parameters, "callback_url": callbacks.address(str(url), job_id, proof)}
    return dataclasses.replace(fitted, parameters=told)


def _encoded(body: Any, blobs: bodies.BlobStore) -> bytes:
    try:
        return bodies.encode(body, blobs.read)
    except (TypeError, ValueError) as error:
        raise RequestError(
            f"parameters: the vendor's own fields cannot be written as JSON: {error}."
        ) from error


def _same_request(record: JobRecord, wanted: str) -> None:
    if record.fingerprint != wanted:
        raise KeyConflict(
            f"key: {record.key!r} belongs to job {record.id}, which asked for something else.",
            provider=record.account.provider,
            job_id=record.id,
            hint="Use a new key for a new request.",
        )


def _described(fitted: FittedRequest) -> dict[str, Any]:
    return {
        "prompt": fitted.prompt,
        "negative_prompt": fitted.negative_prompt,
        "parameters": dict(fitted.parameters),
        "vendor": dict(fitted.vendor),
        "task": fitted.card.task,
        "vendor_id": fitted.card.vendor_id,
        "assets": [asset.describe() for asset in fitted.assets],
        **({"tags": list(fitted.tags)} if fitted.tags else {}),
    }


def fingerprint(fitted: FittedRequest) -> str:
    """Return what makes two requests the same: everything but key and callback."""
    content = {
        "model": fitted.card.vendor_id,
        "name": fitted.card.name,
        "prompt": fitted.prompt,
        "negative_prompt": fitted.negative_prompt,
        "parameters": {k: v for k, v in fitted.parameters.items() if k != "callback_url"},
        "vendor": dict(fitted.vendor),
        "assets": [(asset.role, asset.sha256) for asset in fitted.assets],
    }
    text = json.dumps(content, sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
