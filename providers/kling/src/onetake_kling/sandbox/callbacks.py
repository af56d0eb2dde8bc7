"""Callbacks: the bare record, at every change, signed when a secret is set.

Facts: vendor page of 2026-09-20. Whether and how the vendor repeats a callback that fails is not
documented: the sandbox tells each change once.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import secrets

from onetake.http import dump_json
from onetake.sandbox import Sandbox, SandboxTask
from onetake.sandbox.courier import Letter
from onetake_kling.sandbox import records


def announce(sandbox: Sandbox, task: SandboxTask, base: str) -> None:
    """Tell a task's address of every change, when it happens; the solutions only of the end."""
    url = task.extra.get("callback_url")
    if not url:
        return
    moments = [task.accepted_at, task.starts_at, task.ends_at]
    if task.extra["generation"] == "solution":
        moments = moments[-1:]
    for moment in moments:
        sandbox.courier.post(moment, functools.partial(_letter, sandbox, task, url, moment, base))


def _letter(sandbox: Sandbox, task: SandboxTask, url: str, at: float, base: str) -> Letter:
    body = dump_json(records.called(task, at, base))
    headers = {"Content-Type": "application/json; charset=utf-8"}
    secret = sandbox.settings.webhook_secret
    if secret is not None:
        headers |= signed(secret, str(secrets.randbelow(9 * 10**18)), int(at), body)
    return Letter(url, body, headers, "kling")


def signed(secret: str, message_id: str, at: int, body: bytes) -> dict[str, str]:
    """Return the headers of Standard Webhooks."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    text = f"{message_id}.{at}.".encode() + body
    digest = base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{digest}",
    }
