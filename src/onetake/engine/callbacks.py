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
from onetake.engine.recording import Recorder, TaskTaken
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
        recorder: Recorder,
        watcher: Watcher,
        account: Account,
    ) -> None:
        self._driver = driver
        self._journal = journal
        self._recorder = recorder
        self._watcher = watcher
        self._account = account

    async def proven(self, url: str) -> JobRecord | None:
        """Return the job whose callback this is, and wake who waits for it; None if it proves
        nothing."""
        record = await self._record(url)
        if record is None:
            log.warning("a callback without a valid proof was ignored")
            return None
        self._watcher.nudge(record.id)
        return record

    def may_bring_task(self, record: JobRecord) -> bool:
        """Say whether a job still looks for its task."""
        return record.submission in (Submission.SENDING, Submission.UNKNOWN)

    async def bind(self, record: JobRecord, body: bytes) -> JobRecord:
        """Give a job the task that a callback names, if it looks for one that the vendor shows."""
        task_id = self._driver.read_callback(body)
        if task_id is None or not self.may_bring_task(record):
            return record
        task = self._driver.task_of(record.sending, task_id)
        try:
            answer = (await self._driver.look([task])).get(task_id)
        except OnetakeError as error:
            log.info("the task %s of a callback could not be fetched: %s", task_id, error)
            return record
        if not isinstance(answer, Snapshot):
            return record
        try:
            return await self._recorder.adopt(record, task)
        except TaskTaken:
            return record

    async def _record(self, url: str) -> JobRecord | None:
        try:
            query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))
        except ValueError:
            return None
        job_id, proof = query.get(JOB, ""), query.get(PROOF, "")
        record = await self._journal.ledger.run(lambda c: store.newest(c, job_id))
        if record is None or record.account != self._account or record.proof is None:
            return None
        genuine = hmac.compare_digest(proof.encode(), record.proof.encode())
        return record if genuine else None
