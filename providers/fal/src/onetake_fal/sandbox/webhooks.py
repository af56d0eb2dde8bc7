"""Webhooks: one call when a request has ended, signed with ED25519.

Facts: fal's webhook page (2025-12 and 2026). fal repeats a call that is not answered; the sandbox
calls once, and twice with the fault ``double_webhook``.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from onetake.sandbox import Sandbox, SandboxTask
from onetake.sandbox.courier import Letter
from onetake_fal.sandbox import requests as fal_requests
from onetake_fal.sandbox import results

USER = "sandbox-user"
_KEY = "fal-webhook-key"


def announce(sandbox: Sandbox, task: SandboxTask, url: str, base: str) -> None:
    """Call an address when the request has ended."""
    sandbox.courier.post(task.ends_at, functools.partial(_letter, sandbox, task.id, url, base))


def _letter(sandbox: Sandbox, task_id: str, url: str, base: str) -> Letter:
    task = sandbox.store.task("fal", task_id)
    assert task is not None
    body = json.dumps(_body(sandbox, task, base)).encode()
    headers = {"Content-Type": "application/json", **signed(sandbox, task_id, body)}
    return Letter(url, body, headers, "fal")


def _body(sandbox: Sandbox, task: SandboxTask, base: str) -> dict[str, Any]:
    now = sandbox.now()
    told: dict[str, Any] = {"request_id": task.id, "gateway_request_id": task.id}
    if task.phase(now) == "succeeded":
        return {**told, "status": "OK", "payload": results.made(sandbox, task, base)}
    code, payload, _ = fal_requests.failure(task, now)
    error = f"Invalid status code: {code}"
    return {**told, "status": "ERROR", "error": error, "payload": payload}


def signed(sandbox: Sandbox, request_id: str, body: bytes) -> dict[str, str]:
    """Return the signature's headers: request, user, time and the body's hash are signed."""
    at = str(int(sandbox.now()))
    text = "\n".join((request_id, USER, at, hashlib.sha256(body).hexdigest()))
    return {
        "X-Fal-Webhook-Request-Id": request_id,
        "X-Fal-Webhook-User-Id": USER,
        "X-Fal-Webhook-Timestamp": at,
        "X-Fal-Webhook-Signature": _key(sandbox).sign(text.encode()).hex(),
    }


def jwks(sandbox: Sandbox) -> dict[str, Any]:
    """Return the public key as fal publishes its own."""
    public = _key(sandbox).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    x = base64.urlsafe_b64encode(public).decode().rstrip("=")
    return {"keys": [{"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": "sandbox", "x": x}]}


def _key(sandbox: Sandbox) -> Ed25519PrivateKey:
    """Return the sandbox's key; it is kept with its state."""
    kept = sandbox.store.value(_KEY, None)
    if kept is None:
        kept = Ed25519PrivateKey.generate().private_bytes_raw().hex()
        sandbox.store.set_value(_KEY, kept)
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(str(kept)))
