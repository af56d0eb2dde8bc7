"""Callbacks: hints that something happened to a task. The truth is always fetched.

A callback's address carries our job id and a proof that only the vendor and the ledger know. A
lost one costs time, a second one costs a look, a forged one nothing at all. The one thing that a
callback may bring is the task id of a job whose submission got no answer; it is believed only
with the right proof, and only after the vendor has shown the task to an authenticated question.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import urllib.parse

from onetake.driver import Driver, Snapshot
from onetake.engine.journal import Journal
from onetake.engine.submission import Submitter
from onetake.engine.watching import Watcher
from onetake.errors import OnetakeError
from onetake.job import Submission
from onetake.ledger import store
from onetake.ledger.records import Account, JobRecord

log = logging.getLogger("onetake.engine")
JOB, PROOF = "onetake_job", "onetake_proof"


def new_proof() -> str:
    """Return a proof for one job: 128 random bits."""
    return secrets.token_hex(16)


def address(callback_url: str, job_id: str, proof: str) -> str:
    """Add job id and proof to the address that the caller gave."""
    parts = urllib.parse.urlsplit(callback_url)
    query = [*urllib.parse.parse_qsl(parts.query, keep_blank_values=True)]
    query += [(JOB, job_id), (PROOF, proof)]
    return urllib.parse.urlunsplit(parts._replace(query=urllib.parse.urlencode(query)))


class CallbackReader:
    """Takes callbacks for one account."""

    def __init__(
        self,
        driver: Driver,
        journal: Journal,
        submitter: Submitter,
        watcher: Watcher,
        account: Account,
    ) -> None:
        self._driver = driver
        self._journal = journal
        self._submitter = submitter
        self._watcher = watcher
        self._account = account

    async def read(self, url: str, body: bytes) -> JobRecord | None:
        """Take note of a callback; return its job, or None if it proves nothing."""
        record = await self._proven(url)
        if record is None:
            log.warning("a callback without a valid proof was ignored")
            return None
        if record.submission in (Submission.SENDING, Submission.UNKNOWN):
            return await self._found(record, body)
        self._watcher.nudge(record.id)
        return record

    async def _proven(self, url: str) -> JobRecord | None:
        try:
            query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))
        except ValueError:
            return None
        job_id, proof = query.get(JOB, ""), query.get(PROOF, "")
        record = await self._journal.ledger.run(lambda connection: store.get(connection, job_id))
        if record is None or record.account != self._account or record.proof is None:
            return None
        genuine = hmac.compare_digest(proof.encode(), record.proof.encode())
        return record if genuine else None

    async def _found(self, record: JobRecord, body: bytes) -> JobRecord:
        """Bind the task that a callback names to a job that is looking for its task."""
        task_id = self._driver.read_callback(body)
        if task_id is None:
            return record
        task = self._driver.task_of(record.sending, task_id)
        try:
            answer = (await self._driver.look([task])).get(task_id)
        except OnetakeError as error:
            log.info("the task %s of a callback could not be fetched: %s", task_id, error)
            return record
        taken = await self._journal.ledger.run(
            lambda connection: store.holders(connection, record.account_id, [task_id])
        )
        if not isinstance(answer, Snapshot) or taken:
            return record
        claimed = await self._journal.claim(record.id)
        if claimed is None:  # its own process still waits for the answer to the POST
            return record
        try:
            return await self._submitter.adopt(claimed, task)
        finally:
            await self._journal.release(record.id)
