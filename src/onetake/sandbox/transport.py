"""The sandbox as an httpx transport, in the same process."""

from __future__ import annotations

import httpx

from onetake.clock import Clock
from onetake.errors import ConfigurationError
from onetake.sandbox.app import build_app
from onetake.sandbox.faults import ConnectionBroken
from onetake.sandbox.service import Sandbox, SandboxSettings
from onetake.settings import Settings


class InProcess(httpx.AsyncBaseTransport):
    """Hands requests to a sandbox's app; a broken connection shows as httpx shows one."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._transport = httpx.ASGITransport(build_app(sandbox))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Serve one request."""
        try:
            return await self._transport.handle_async_request(request)
        except ConnectionBroken as broken:
            if broken.how == "stall":
                raise httpx.ReadTimeout("the sandbox does not answer", request=request) from None
            if broken.how == "reset":
                raise httpx.ReadError("connection reset", request=request) from None
            message = "the sandbox hung up before the answer was whole"
            raise httpx.RemoteProtocolError(message, request=request) from None

    def discard(self) -> None:
        """Close the sandbox before the first request, without an event loop."""
        self.sandbox.close()

    async def aclose(self) -> None:
        """Close the sandbox; its state stays in its folder."""
        self.sandbox.close()


def in_process(settings: Settings, clock: Clock) -> httpx.AsyncBaseTransport:
    """Return the sandbox of this user's ``ONETAKE_HOME``.

    Raises:
        ConfigurationError: the folder cannot be written.
    """
    wanted = SandboxSettings(
        seconds_per_job=settings.sandbox_seconds_per_job,
        media="fast" if settings.sandbox_media == "fast" else "full",
        concurrency=settings.sandbox_concurrency,
        folder=settings.sandbox_folder,
    )
    try:
        return InProcess(Sandbox(wanted, clock))
    except OSError as error:
        raise ConfigurationError(
            f"{settings.sandbox_folder}: the sandbox cannot keep its state there: {error.strerror}."
        ) from error
