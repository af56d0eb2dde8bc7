"""The one seam over fal-client: its credentials, uploads, submit and handles, our transport.

fal-client 1.0.3 repeats a POST up to ten times, keeps one HTTP client per object for all event
loops, and never closes it. Here it gets a client of ours, whose transport reads every answer
whole and raises `VendorAnswer` (or the core's errors) for whatever is not a success: types that
its retry loop does not catch. The private names used are ``_client``, ``_cdn_client`` and
``_token_manager``; a test checks that they still exist.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import AsyncIterator, Coroutine, Mapping
from datetime import datetime
from typing import Any

import fal_client
import httpx
from fal_client.client import AsyncCDNTokenManager, CDNToken
from httpx_sse import SSEError, aconnect_sse

from onetake.clock import Clock
from onetake.errors import ConfigurationError, ProviderUnavailable, Refused, SubmissionUnknown
from onetake.http import AtMostOnce, build_client, judge_submission, retry_after
from onetake_fal.errors import refusal

OWN_HOSTS = (
    "fal.run",
    "queue.fal.run",
    "rest.fal.ai",
    "rest.alpha.fal.ai",
    "v3.fal.media",
    "v3b.fal.media",
    "api.fal.ai",
)
QUEUE = "queue.fal.run"

accepted_id: contextvars.ContextVar[str | None] = contextvars.ContextVar(
    "accepted_id", default=None
)
"""The request id of the newest accepted submission in this context, read before fal-client."""


left: contextvars.ContextVar[bool] = contextvars.ContextVar("left", default=False)
"""Whether a submission was handed to the network in this context."""


class VendorAnswer(Exception):
    """An answer of fal that is not a success."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(f"HTTP {response.status_code}")
        self.response = response

    @property
    def payload(self) -> Any:
        """The body as JSON, or as text."""
        try:
            return self.response.json()
        except ValueError:
            return self.response.text[:300]


class KeyGuard(httpx.AsyncBaseTransport):
    """Never lets the key leave for a host that is not fal's.

    fal-client sends it along when it puts a file to whatever place fal names; such places are
    signed and need no key, so there the key is taken away. Anything else is refused. Tokens that
    fal gives for one upload are not the key.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send, unless a credential would leave for a stranger."""
        if is_submission(request):
            left.set(True)
        has_key = request.headers.get("authorization", "").startswith("Key ")
        foreign = has_key and not _is_fals(request.url)
        if foreign and request.method == "PUT":
            del request.headers["authorization"]
        elif foreign:
            raise ConfigurationError(
                f"fal named {request.url.host} for a call that carries the key; it was not sent."
            )
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the transport below."""
        await self._inner.aclose()


def _is_fals(url: httpx.URL) -> bool:
    """Say whether a URL is one of fal's, over TLS and at the usual port."""
    return url.host in OWN_HOSTS and url.scheme == "https" and url.port in (None, 443)


def is_submission(request: httpx.Request) -> bool:
    """Say whether a request starts a paid job."""
    return request.method == "POST" and request.url.host in (QUEUE, "fal.run")


class _TokenManager(AsyncCDNTokenManager):
    """Fetches upload tokens through our client."""

    def __init__(self, auth: Any, http: httpx.AsyncClient) -> None:
        super().__init__(auth)
        self._http = http

    async def _refresh_token(self) -> CDNToken:
        response = await self._http.post(self._url, headers=self._headers, json={})
        data = response.json()
        return CDNToken(
            token=data["token"],
            token_type=data["token_type"],
            base_upload_url=data["base_url"],
            expires_at=datetime.fromisoformat(data["expires_at"]),
        )


class Client(fal_client.AsyncClient):
    """fal's own client over our transport, for one event loop.

    Args:
        key: ``id:secret``.
        transport: reaches fal or a sandbox.
        clock: the time.
        timeout: seconds for reads.
        submit_timeout: seconds for a submission.
    """

    def __init__(
        self,
        key: str,
        transport: httpx.AsyncBaseTransport,
        clock: Clock,
        *,
        timeout: float,
        submit_timeout: float,
    ) -> None:
        super().__init__(key=key, default_timeout=submit_timeout)
        self._clock = clock
        once = AtMostOnce(
            KeyGuard(transport), provider="fal", is_submission=is_submission, judge=self._judge
        )
        self.http = build_client(once, timeout=timeout, headers={"Authorization": f"Key {key}"})
        self._uploads = build_client(once, timeout=timeout)
        self._streams = build_client(
            KeyGuard(transport), timeout=timeout, headers={"Authorization": f"Key {key}"}
        )
        self._tokens: _TokenManager | None = None

    def _judge(self, request: httpx.Request, response: httpx.Response) -> None:
        response.request = request
        if is_submission(request):
            self._judge_submission(response)
        elif not response.is_success:
            raise VendorAnswer(response)

    def _judge_submission(self, response: httpx.Response) -> None:
        answer = judge_submission(response, "fal")
        if response.is_success:
            request_id = answer.get("request_id")
            if not isinstance(request_id, str) or not request_id:
                raise SubmissionUnknown(
                    "fal took the request but named no request id.", provider="fal"
                )
            accepted_id.set(request_id)
            return
        pause = retry_after(response, self._clock.now())
        error = refusal(response.status_code, answer or response.text[:300], retry_after=pause)
        raise Refused(error, wait=type(error).__name__ == "ConcurrencyExceeded")

    # the three private slots of fal_client.AsyncClient that decide which connections are used

    @property
    def _client(self) -> Coroutine[Any, Any, httpx.AsyncClient]:
        async def ready() -> httpx.AsyncClient:
            return self.http

        return ready()

    @property
    def _token_manager(self) -> Coroutine[Any, Any, _TokenManager]:
        async def ready() -> _TokenManager:
            if self._tokens is None:
                self._tokens = _TokenManager(await self._auth, self._uploads)
            return self._tokens

        return ready()

    @contextlib.asynccontextmanager
    async def _cdn_client(self) -> AsyncIterator[httpx.AsyncClient]:
        yield self._uploads

    async def events(self, url: str) -> AsyncIterator[Mapping[str, Any]]:
        """Follow a status stream; ends when fal ends it.

        Raises:
            OnetakeError: the stream broke, or is none.
        """
        try:
            async with aconnect_sse(self._streams, "GET", url, params={"logs": "1"}) as source:
                async for event in source.aiter_sse():
                    yield event.json()
        except (httpx.HTTPError, SSEError, ValueError) as error:
            raise ProviderUnavailable(
                f"fal's status stream broke ({error!r}).", provider="fal"
            ) from error

    async def aclose(self) -> None:
        """Close the HTTP clients."""
        await self._streams.aclose()
        await self._uploads.aclose()
        await self.http.aclose()
