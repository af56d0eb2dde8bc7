"""HTTP: building clients, sending a submission at most once, reaching the sandbox.

`AtMostOnce` is the seam through which every vendor call goes. A submission that fails is sorted
by *where* it failed: before the first byte left (`NotSent`) or after (`SubmissionUnknown`).
Its exceptions are not httpx's, so that no retry loop of a vendor SDK catches them.
"""

from __future__ import annotations

import contextlib
import email.utils
import functools
import json
import logging
import re
import ssl
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from onetake.errors import (
    ConfigurationError,
    NotSent,
    ProviderUnavailable,
    SubmissionUnknown,
)

USER_AGENT = "onetake/0.1"
CONNECTIONS = httpx.Limits(max_connections=64, max_keepalive_connections=16)
"""httpx rescans its whole queue at every event, so the engine keeps requests below this."""

_BEFORE_SENDING = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.ProxyError,
)


def world() -> httpx.AsyncBaseTransport:
    """Return the transport to the real network. It never retries.

    A proxy of the environment (``HTTPS_PROXY``, ``NO_PROXY``) is used, as httpx does by itself
    only where it makes the transport.
    """
    tls = _tls()
    direct = httpx.AsyncHTTPTransport(verify=tls, limits=CONNECTIONS, retries=0)
    proxies = urllib.request.getproxies()
    url = proxies.get("https") or proxies.get("all")
    if url is None:
        return direct
    proxy = httpx.Proxy(url if "://" in url else f"http://{url}")
    proxied = httpx.AsyncHTTPTransport(verify=tls, limits=CONNECTIONS, proxy=proxy)
    return _ThroughProxy(direct, proxied)


@functools.cache
def _tls() -> ssl.SSLContext:
    """Return httpx's own default, read once: loading the certificates takes 40 ms each time."""
    return httpx.create_ssl_context(trust_env=True)


class _ThroughProxy(httpx.AsyncBaseTransport):
    """Chooses between a proxy and the direct way, by ``NO_PROXY`` and for loopback."""

    def __init__(self, direct: httpx.AsyncBaseTransport, proxied: httpx.AsyncBaseTransport) -> None:
        self._direct, self._proxied = direct, proxied

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        local = host in ("localhost", "127.0.0.1", "::1")
        way = self._direct if local or urllib.request.proxy_bypass(host) else self._proxied
        return await way.handle_async_request(request)

    async def aclose(self) -> None:
        await self._direct.aclose()
        await self._proxied.aclose()


class _WithoutProofs(logging.Filter):
    """Keeps the proof in a callback's address out of httpx's log of requests."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let everything pass, but for the proof."""
        if isinstance(record.args, tuple):
            record.args = tuple(_without_proof(value) for value in record.args)
        return True


def _without_proof(value: object) -> object:
    return _PROOF.sub(r"\1…", str(value)) if isinstance(value, httpx.URL) else value


_PROOF = re.compile(r"(onetake_proof(?:=|%3D))[0-9a-f]+")
logging.getLogger("httpx").addFilter(_WithoutProofs())


def build_client(
    transport: httpx.AsyncBaseTransport,
    *,
    timeout: float,
    base_url: str = "",
    headers: Mapping[str, str] | None = None,
) -> httpx.AsyncClient:
    """Return a client that never follows a redirect and always has a timeout (seconds)."""
    return httpx.AsyncClient(
        transport=transport,
        base_url=base_url,
        headers={"User-Agent": USER_AGENT, **(headers or {})},
        timeout=httpx.Timeout(timeout, connect=min(timeout, 15.0)),
        follow_redirects=False,
    )


class AtMostOnce(httpx.AsyncBaseTransport):
    """Sends each submission once and says what became of it.

    Args:
        inner: the transport that does the work.
        provider: for messages.
        is_submission: tells paid POSTs from everything else.
        judge: may raise for an answer that was read whole; called for every request.
    """

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        *,
        provider: str,
        is_submission: Callable[[httpx.Request], bool],
        judge: Callable[[httpx.Request, httpx.Response], None] | None = None,
    ) -> None:
        self._inner = inner
        self._provider = provider
        self._is_submission = is_submission
        self._judge = judge

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send, read the whole answer if it is judged, and sort failures."""
        submission = self._is_submission(request)
        trace = _Trace()
        if submission:
            request.extensions = {**request.extensions, "trace": trace}
        try:
            response = await self._inner.handle_async_request(request)
            if submission or (self._judge and not _is_stream(response)):
                await response.aread()
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            raise self._sorted(error, request, submission, trace) from error
        if self._judge:
            self._judge(request, response)
        return response

    def _sorted(
        self, error: Exception, request: httpx.Request, submission: bool, trace: _Trace
    ) -> Exception:
        reason = f"{type(error).__name__}: {error}".rstrip(": ")
        host = request.url.host
        if not submission:
            return ProviderUnavailable(
                f"{host} could not be read ({reason}).", provider=self._provider
            )
        if isinstance(error, _BEFORE_SENDING) or trace.never_sent:
            return NotSent(
                ProviderUnavailable(
                    f"{host} could not be reached ({reason}); nothing was sent.",
                    provider=self._provider,
                )
            )
        return SubmissionUnknown(
            f"{host} took the request but its answer was lost ({reason}).",
            provider=self._provider,
        )

    async def aclose(self) -> None:
        """Close the transport below."""
        await self._inner.aclose()


class _Trace:
    """Listens to httpcore: did a connection come up, did a request begin to leave?"""

    def __init__(self) -> None:
        self._connecting = False
        self._sending = False

    @property
    def never_sent(self) -> bool:
        return self._connecting and not self._sending

    async def __call__(self, name: str, info: Mapping[str, Any]) -> None:
        if name.endswith("connect_tcp.started"):
            self._connecting = True
        if name.endswith("send_request_headers.started"):
            self._sending = True


def _is_stream(response: httpx.Response) -> bool:
    return str(response.headers.get("content-type", "")).startswith("text/event-stream")


def judge_submission(response: httpx.Response, provider: str) -> dict[str, Any]:
    """Sort the answer to a submission by its status; return its JSON if it may say yes or no.

    Every 5xx, 408, 409, redirect and unreadable 2xx leaves the outcome unknown. Other 4xx are
    for the caller to read: a documented one refuses.

    Raises:
        SubmissionUnknown: the outcome is unknown.
    """
    status = response.status_code
    if status >= 500 or status in (408, 409) or 300 <= status < 400 or status < 200:
        raise SubmissionUnknown(
            f"{response.request.url.host if response._request else provider} answered HTTP "
            f"{status} to the submission; that does not say whether a job was created.",
            provider=provider,
            vendor_code=str(status),
            vendor_message=_excerpt(response),
        )
    try:
        body = response.json()
    except ValueError:
        body = None
    if isinstance(body, dict):
        return body
    if status < 300:
        raise SubmissionUnknown(
            "the answer to the submission is unreadable; a job may have been created.",
            provider=provider,
            vendor_message=_excerpt(response),
        )
    return {}


def _excerpt(response: httpx.Response) -> str:
    return response.text[:300]


def retry_after(response: httpx.Response, now: float) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for, or None."""
    value = response.headers.get("retry-after")
    if value is None:
        return None
    with contextlib.suppress(ValueError):
        return max(0.0, float(value))
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - now)
    return None


class Rerouted(httpx.AsyncBaseTransport):
    """Sends requests for vendor hosts to a sandbox, by a table of host to path prefix.

    The requests keep their real URLs; only the way differs. A host that is neither in the table
    nor the sandbox itself is refused: nothing leaves for the world by accident.
    """

    def __init__(
        self, inner: httpx.AsyncBaseTransport, base_url: str, hosts: Mapping[str, str]
    ) -> None:
        self._inner = inner
        self._base = httpx.URL(base_url)
        self._hosts = dict(hosts)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request to its place on the sandbox."""
        url = request.url
        if (url.host, url.port) != (self._base.host, self._base.port):
            prefix = self._hosts.get(url.host)
            if prefix is None:
                raise ConfigurationError(
                    f"the sandbox does not stand for {url.host}; nothing was sent there."
                )
            url = self._base.copy_with(raw_path=prefix.encode() + url.raw_path)
        headers = [(k, v) for k, v in request.headers.raw if k.lower() != b"host"]
        rerouted = httpx.Request(
            request.method,
            url,
            headers=[(b"Host", url.netloc), *headers],
            stream=request.stream,
            extensions=request.extensions,
        )
        return await self._inner.handle_async_request(rerouted)

    def discard(self) -> None:
        """Give it up before its first request, without an event loop."""
        discard = getattr(self._inner, "discard", None)
        if discard is not None:
            discard()

    async def aclose(self) -> None:
        """Close the transport below."""
        await self._inner.aclose()


def dump_json(value: Any) -> bytes:
    """Write JSON exactly as httpx does, so that what is hashed is what is sent."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode()
