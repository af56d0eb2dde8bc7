"""Bodies and answers of fal, and the seam over its client."""

from __future__ import annotations

import inspect
from typing import Any

import anyio
import fal_client
import httpx
import pytest
from fal_client import client as fal_module

from onetake import (
    AuthenticationError,
    ConcurrencyExceeded,
    ConfigurationError,
    ContentRejected,
    GenerationRequest,
    InsufficientCredits,
    JobFailed,
    RateLimited,
    RequestError,
    get_provider,
)
from onetake.clock import SystemClock
from onetake.driver import PreparedAsset, Submission
from onetake.fitting import fit
from onetake.http import dump_json
from onetake.plugins import catalog
from onetake.settings import Settings
from onetake.testing import SandboxServer
from onetake_fal import errors, results, wire
from onetake_fal.client import Client

URL = "https://v3.fal.media/files/a/b.jpg"


def sent(model: str, **fields: Any) -> Submission:
    """Translate a request."""
    fitted = fit(GenerationRequest("a lake", model=model, **fields), catalog("fal"))
    return wire.submission(fitted, "id", [PreparedAsset(a, a.url or "") for a in fitted.assets])


@pytest.mark.parametrize(
    ("model", "parameters", "files", "body"),
    [
        (
            "fal-ai/kling-video/v2/master/image-to-video",
            {"duration": 5, "cfg_scale": 0.5},
            1,
            {"prompt": "a lake", "image_url": URL, "duration": "5", "cfg_scale": 0.5},
        ),
        (
            "kling-v2.5-turbo-pro-image",
            {"duration": "10s"},
            2,
            {"prompt": "a lake", "image_url": URL, "tail_image_url": URL, "duration": "10"},
        ),
        (
            "kling-v2.6-pro-image",
            {"audio": "off"},
            2,
            {
                "prompt": "a lake",
                "start_image_url": URL,
                "end_image_url": URL,
                "generate_audio": False,
            },
        ),
        ("kling-v3-turbo-pro-text", {"duration": 15}, 0, {"prompt": "a lake", "duration": "15"}),
    ],
)
def test_field_names_differ_by_endpoint(
    model: str, parameters: dict[str, Any], files: int, body: dict[str, Any]
) -> None:
    """Names and types as in fal's OpenAPI of 2026-08-02; defaults are left to fal."""
    found = sent(model, parameters=parameters, reference_assets=[URL] * files)
    assert dump_json(found.body) == dump_json(body)


def test_an_unknown_endpoint_gets_what_it_was_given() -> None:
    """With the commonest field name for a picture."""
    found = sent("fal-ai/new/model", parameters={"steps": 4}, reference_assets=[URL])
    assert found.body == {"prompt": "a lake", "image_url": URL, "steps": 4}
    assert found.route == "fal-ai/new"


def test_namespaces_shift_the_app() -> None:
    """``workflows/`` and ``comfy/`` have one segment more."""
    assert wire.app_of("workflows/me/flow/x") == "workflows/me/flow"


def test_files_are_found_wherever_they_are() -> None:
    """One video, many pictures, a deep tree."""
    result = {
        "video": {"url": "https://a/v.mp4", "content_type": "video/mp4", "file_size": 3},
        "images": [{"url": "https://a/1.png"}, {"url": "https://a/2.png"}],
        "seed": 7,
    }
    assert [file.url for file in results.outputs(result)] == [
        "https://a/v.mp4", "https://a/1.png", "https://a/2.png",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "payload", "kind"),
    [
        (401, {"detail": "invalid key credentials"}, AuthenticationError),
        (403, {"detail": "User is locked. Reason: Exhausted balance."}, InsufficientCredits),
        (402, {"detail": "pay"}, InsufficientCredits),
        (404, {"detail": "Application not found"}, RequestError),
        (422, {"detail": [{"loc": ["body", "prompt"], "msg": "m", "type": "t"}]}, RequestError),
        (429, {"detail": "x", "error_type": "concurrent_requests_limit"}, ConcurrencyExceeded),
        (429, {"detail": "queue too long"}, RateLimited),
    ],
)
def test_refusals(status: int, payload: Any, kind: type[Exception]) -> None:
    """Nothing was created, and nothing is billed."""
    error = errors.refusal(status, payload)
    assert type(error) is kind
    assert (error.task_state, error.billed) == ("not_created", "no")


def test_failures_name_our_field() -> None:
    """A recorded error of a Kling effect on fal: the message says which input it was."""
    payload = {
        "detail": [
            {
                "loc": ["body", "image_url"],
                "msg": "Could not detect face in the image",
                "type": "face_detection_error",
                "input": "https://x",
            }
        ]
    }
    error = errors.task_failure(payload, None, {"image_url": "first_frame"})
    assert isinstance(error, JobFailed)
    assert "first_frame: Could not detect face" in str(error)
    moderated = {"detail": [{"loc": ["body"], "msg": "no", "type": "content_policy_violation"}]}
    assert isinstance(errors.task_failure(moderated), ContentRejected)


DOCUMENTED = """
internal_server_error downstream_service_unavailable downstream_service_error generation_timeout
content_policy_violation file_download_error image_load_error face_detection_error
feature_not_supported image_too_small image_too_large file_too_large greater_than
greater_than_equal less_than less_than_equal multiple_of sequence_too_short sequence_too_long
one_of invalid_archive archive_file_count_below_minimum archive_file_count_exceeds_maximum
audio_duration_too_long audio_duration_too_short video_duration_too_long video_duration_too_short
unsupported_audio_format unsupported_image_format unsupported_video_format
request_timeout startup_timeout runner_scheduling_failure runner_connection_timeout
runner_disconnected runner_connection_refused runner_connection_error runner_incomplete_response
runner_server_error client_disconnected client_cancelled bad_request internal_error
"""


def test_every_documented_type_is_in_the_table() -> None:
    """Model errors and infrastructure errors of fal's pages (2025-12, 2026)."""
    assert set(errors.TYPES) == set(DOCUMENTED.split())
    assert all(400 <= row.http < 600 for row in errors.TYPES.values())


@pytest.mark.parametrize(
    ("detail", "said"),
    [
        ([{"loc": None, "msg": "odd"}], "odd"),
        ([{"loc": ["body", "prompt"], "msg": "odd", "ctx": ["x"]}], "prompt: odd"),
        (["bad thing"], "bad thing"),
        ([None], "None"),
        ("flat", "flat"),
    ],
)
def test_odd_details_never_hide_an_answer(detail: Any, said: str) -> None:
    """A refusal is a refusal, whatever form its words have."""
    assert said in errors.refusal(422, {"detail": detail}).message
    assert said in errors.task_failure({"detail": detail}).message


@pytest.mark.parametrize(
    ("status", "payload", "kind", "verdict"),
    [
        (422, {"detail": [{"msg": "no"}]}, None, True),
        (500, {"detail": "Unexpected error"}, None, True),
        (500, {"message": "Internal Server Error"}, None, False),
        (400, {"detail": "Request is still in progress"}, None, False),
        (400, {"detail": "Request is still in progress"}, "bad_request", False),
        (503, {"detail": "x"}, "runner_disconnected", True),
        (503, {"detail": "x"}, None, False),
        (429, {"detail": "x"}, "concurrent_requests_limit", False),
        (403, {"detail": "x"}, "y", False),
        (502, "<html>", None, False),
    ],
)
def test_what_counts_as_the_end_of_a_job(
    status: int, payload: Any, kind: str | None, verdict: bool
) -> None:
    """A paid job is not closed because of a gateway's page, a busy host, or an early question."""
    assert errors.is_verdict(status, payload, kind) is verdict


@pytest.mark.parametrize(
    "endpoint",
    [
        "fal-ai/../../evil",
        "fal-ai/x?fal_webhook=https://example.com",
        "https://queue.fal.run/fal-ai/x",
        "fal-ai/kling-video/requests/123",
        "fal-ai//x",
        "fal-ai/x y",
    ],
)
def test_what_is_no_endpoint_is_never_posted_to(endpoint: str) -> None:
    """The id becomes a part of a URL that is paid for."""
    with pytest.raises(RequestError, match="no id of an endpoint"):
        wire.check_endpoint(endpoint)


def test_file_names_fit_into_a_header() -> None:
    """Accents fall away; a name of other letters keeps its ending."""
    assert wire.plain_name("bäär.png") == "baar.png"
    assert wire.plain_name("日本.png") == "png"
    assert wire.plain_name("a b/c.mp4") == "a_b_c.mp4"
    assert wire.plain_name("…") == "file"


def test_the_private_slots_of_fal_client_still_exist() -> None:
    """If this fails, fal-client changed inside: look at `onetake_fal.client`."""
    source = inspect.getsource(fal_client.AsyncClient)
    for name in ("_client", "_cdn_client", "_token_manager"):
        assert f"def {name}(" in source, name
    assert "_refresh_token" in inspect.getsource(fal_module.AsyncCDNTokenManager)
    retried = (httpx.HTTPError, fal_module.FalClientHTTPError)
    from onetake_fal.client import VendorAnswer

    assert not issubclass(VendorAnswer, retried)


def test_the_key_never_leaves_for_a_stranger() -> None:
    """A host that is not fal's gets no authorised request."""

    async def main() -> None:
        transport = httpx.MockTransport(lambda request: httpx.Response(200))
        client = Client("secret", transport, SystemClock(), timeout=5, submit_timeout=5)
        with pytest.raises(ConfigurationError, match=r"evil\.example"):
            await client.http.get("https://evil.example/")
        await client.aclose()

    anyio.run(main)


@pytest.mark.parametrize("body", ["{", "{}", '{"request_id": 5}', '{"request_id": "r"}'])
def test_a_strange_acceptance_loses_no_id(body: str) -> None:
    """An unreadable 2xx is unknown; a readable id is kept, whatever else is missing."""
    from onetake.credentials import Credentials
    from onetake.driver import DriverContext
    from onetake.errors import SubmissionUnknown
    from onetake_fal.driver import FalDriver
    from onetake_fal.plugin import CARD

    posts: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        posts.append(request.method)
        return httpx.Response(200, text=body, headers={"content-type": "application/json"})

    async def main() -> None:
        context = DriverContext(
            card=CARD,
            credentials=Credentials({"api_key": "k"}),
            base_url="https://queue.fal.run",
            transport=httpx.MockTransport(answer),
            clock=SystemClock(),
        )
        driver = FalDriver(context)
        submission = Submission(path="fal-ai/x/y", body={})
        try:
            if '"r"' in body:
                assert (await driver.submit(submission, b"{}")).id == "r"
            else:
                with pytest.raises(SubmissionUnknown):
                    await driver.submit(submission, b"{}")
        finally:
            await driver.aclose()

    anyio.run(main)
    assert posts == ["POST"]


def test_a_gateway_page_at_the_result_does_not_fail_a_paid_job(
    server: SandboxServer, settings: Settings
) -> None:
    """A 502 while the result is fetched says nothing about the job."""
    server.fail("nginx_502", method="GET", path="/requests/")

    async def main() -> Any:
        async with get_provider("fal", sandbox=server.url, settings=settings) as provider:
            return await provider.generate(GenerationRequest("x", model="kling-v2.6-pro-text"))

    assert anyio.run(main).job.state == "delivered"


def test_fal_says_that_it_needs_asyncio() -> None:
    """Its client does."""

    async def main() -> None:
        async with get_provider("fal", sandbox=True):
            pass

    with pytest.raises(ConfigurationError, match="asyncio"):
        anyio.run(main, backend="trio")
