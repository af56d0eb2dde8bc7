"""Talking to Paintbox."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from onetake.driver import (
    Driver,
    DriverContext,
    LookError,
    LostSubmission,
    Missing,
    PreparedAsset,
    Snapshot,
    Submission,
    Task,
)
from onetake.errors import (
    AuthenticationError,
    OnetakeError,
    ProviderUnavailable,
    Refused,
    SubmissionUnknown,
)
from onetake.fitting import FittedRequest
from onetake.http import AtMostOnce, build_client, judge_submission
from onetake_paintbox import wire
from onetake_paintbox.errors import refusal


class PaintboxDriver(Driver):
    """Driver of Paintbox. The core retries, paces and records; this only talks."""

    def __init__(self, context: DriverContext) -> None:
        super().__init__(context)
        once = AtMostOnce(
            context.transport, provider="paintbox", is_submission=lambda r: r.method == "POST"
        )
        self._client = build_client(
            once,
            timeout=context.read_timeout,
            base_url=context.base_url,
            headers={"X-Paintbox-Key": context.credentials.get("api_key") or ""},
        )

    def prepare(
        self, request: FittedRequest, job_id: str, assets: Sequence[PreparedAsset]
    ) -> Submission:
        """Translate."""
        return wire.submission(request, job_id)

    async def submit(self, submission: Submission, body: bytes) -> Task:
        """POST once. Failures on the way are sorted by the transport."""
        response = await self._client.post(
            submission.path,
            content=body,
            headers={"Content-Type": "application/json"},
            timeout=self.context.submit_timeout,
        )
        answer = judge_submission(response, "paintbox")
        if response.is_success and isinstance(answer.get("id"), str):
            return Task(answer["id"], path=wire.PATH)
        code, message = str(answer.get("code")), str(answer.get("message"))
        error = refusal(code, message)
        if error is None:
            raise SubmissionUnknown(f"paintbox answered {code}: {message}", provider="paintbox")
        raise Refused(error, wait=code == "busy", exists=code == "duplicate_client_id")

    async def look(self, tasks: Sequence[Task]) -> Mapping[str, Snapshot | Missing | LookError]:
        """Ask for each task."""
        return {task.id: await self._look_at(task) for task in tasks}

    async def _look_at(self, task: Task) -> Snapshot | Missing | LookError:
        try:
            record = await self._read(f"{wire.PATH}/{task.id}")
            return Missing() if record is None else wire.snapshot(record)
        except OnetakeError as error:
            return LookError(error)

    async def locate(self, lost: LostSubmission) -> Sequence[Task]:
        """Find a film by our id."""
        record = await self._read(f"{wire.PATH}/by-client-id/{lost.job_id}")
        return () if record is None else (Task(record["id"], path=wire.PATH),)

    async def verify(self) -> None:
        """Read the account, which is free."""
        try:
            await self._read("/v1/account")
        except AuthenticationError:
            raise
        except OnetakeError:
            return

    async def _read(self, path: str) -> Any:
        response = await self._client.get(path)
        if response.status_code == 404:
            return None
        try:
            answer = response.json()
        except ValueError:
            answer = {}
        if response.is_success:
            return answer
        error = refusal(str(answer.get("code")), str(answer.get("message")))
        raise error or ProviderUnavailable(f"paintbox answered HTTP {response.status_code}.")

    async def aclose(self) -> None:
        """Close the client."""
        await self._client.aclose()
