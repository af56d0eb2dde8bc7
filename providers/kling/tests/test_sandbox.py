"""The dialect, judged by documented samples and recorded answers, over real HTTP."""

from __future__ import annotations

import time
from typing import Any

import httpx
import jwt
import pytest

from onetake.testing import SandboxServer, sandbox_server

from .requests_of import token

KEY = {"Authorization": "Bearer sandbox"}
T2V = "/kling/text-to-video/kling-2.6"
OLD = "/kling/v1/videos/text2video"


def call(
    server: SandboxServer,
    method: str,
    path: str,
    body: Any = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, dict[str, Any]]:
    """Make one request; return status and JSON."""
    answer = httpx.request(method, server.url + path, json=body, headers=headers or KEY)
    return answer.status_code, answer.json()


def test_a_create_and_its_record(server: SandboxServer) -> None:
    """Keys, their order and types as recorded 2026-09-09 and 2026-09-28."""
    body = {"prompt": "a lake", "options": {"external_task_id": "mine"}}
    status, answer = call(server, "POST", T2V, body)
    assert status == 200
    assert list(answer) == ["code", "message", "request_id", "data"]
    assert answer["message"] == "SUCCEED"
    data = answer["data"]
    assert list(data) == ["id", "status", "external_id", "message", "create_time", "update_time"]
    assert data["status"] == "submitted"
    assert isinstance(data["create_time"], int)
    _, found = call(server, "GET", "/kling/tasks?external_task_ids=mine")
    record = found["data"][0]
    assert record["status"] == "succeeded"
    assert record["outputs"][0]["duration"] == "5.041"
    assert record["billing"] == [{"charge_type": "unit", "amount": "1.5", "package_type": "video"}]


def test_the_old_api_says_succeed(server: SandboxServer) -> None:
    """String duration, other names, found by either id."""
    body = {"model_name": "kling-v2-6", "prompt": "x", "mode": "pro", "duration": "10"}
    _, answer = call(server, "POST", OLD, {**body, "external_task_id": "e1"}, token())
    task_id = answer["data"]["task_id"]
    for name in (task_id, "e1"):
        _, found = call(server, "GET", f"{OLD}/{name}", headers=token())
        record = found["data"]
        assert record["task_status"] == "succeed"
        assert record["task_result"]["videos"][0]["duration"] == "10.041"
        assert record["final_unit_deduction"] == "5"
    _, listed = call(server, "GET", f"{OLD}?pageNum=1&pageSize=5")
    assert [item["task_id"] for item in listed["data"]] == [task_id]


def test_external_ids_are_unique_across_both_apis(server: SandboxServer) -> None:
    """Recorded 2026-09-20; an empty one counts as absent."""
    taken = {"prompt": "x", "options": {"external_task_id": "twice"}}
    assert call(server, "POST", T2V, taken)[0] == 200
    expected = "External_task_id twice already exists"
    old = {"model_name": "kling-v2-6", "prompt": "x", "external_task_id": "twice"}
    for path, body in ((T2V, taken), (OLD, old)):
        status, answer = call(server, "POST", path, body)
        assert (status, answer["code"], answer["message"]) == (400, 1201, expected)
        assert "data" not in answer
    assert len(server.charges()) == 1
    for _ in range(2):
        empty = {"prompt": "x", "options": {"external_task_id": ""}}
        assert call(server, "POST", T2V, empty)[0] == 200


def test_queries_are_capped_and_leave_out_the_unknown(server: SandboxServer) -> None:
    """20 ids; an unknown id is silently missing; no id is refused."""
    many = ",".join(str(number) for number in range(21))
    status, answer = call(server, "GET", f"/kling/tasks?task_ids={many}")
    assert (status, answer["code"]) == (400, 1201)
    assert answer["message"] == "task_ids and external_task_ids cannot exceed 20 in total"
    assert call(server, "GET", "/kling/tasks?task_ids=1")[1]["data"] == []
    assert call(server, "GET", "/kling/tasks")[1]["message"].endswith("is required")
    status, answer = call(server, "GET", f"{OLD}/nobody")
    assert (status, answer["message"]) == (400, "Task not found by id/external id: nobody")


def test_credentials_are_really_checked(server: SandboxServer) -> None:
    """Keys on both APIs, tokens on the old one; the words differ by path, as recorded."""
    body = {"prompt": "x"}
    cases: list[tuple[str, dict[str, str], int]] = [
        (T2V, {"x": "y"}, 1002),
        (OLD, {"x": "y"}, 1001),
        (T2V, token(), 1002),
        (OLD, {"Authorization": "Bearer garbage"}, 1002),
        (OLD, token(iss="somebody"), 1002),
        (OLD, token(exp=int(time.time()) - 10), 1004),
        (OLD, token(nbf=int(time.time()) + 600), 1003),
        (OLD, {"Authorization": "Bearer api-key-kling-nope"}, 1002),
    ]
    for path, headers, code in cases:
        status, answer = call(server, "POST", path, body, headers)
        assert (status, answer["code"]) == (401, code), (path, headers)
    forged = jwt.encode({"iss": "sandbox-ak", "exp": 9e9}, "x" * 32, algorithm="HS256")
    wrong = {"Authorization": f"Bearer {forged}"}
    assert call(server, "GET", OLD, headers=wrong)[1]["code"] == 1002
    assert server.charges() == []


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("/kling/text-to-video/kling-9", {"prompt": "x"}, "model is not supported"),
    (T2V, {}, "prompt"),
    (T2V, {"prompt": "x", "settings": {"duration": 7}}, "duration value '7' is invalid"),
    (T2V, {"prompt": "x", "settings": {"resolution": "4k"}}, "resolution"),
    (T2V, {"prompt": "x", "settings": {"aspect_ratio": "21:9"}}, "aspect_ratio"),
    (T2V, {"prompt": "x", "settings": {"audio": "native"}}, "1080p"),
    ("/kling/image-to-video/kling-2.6", {"contents": []}, "contents cannot be empty"),
    ("/kling/image-to-video/kling-2.6", {"contents": "x"}, "expected array"),
    (
        "/kling/image-to-video/kling-3.0-turbo",
        {"contents": [{"type": "prompt", "text": "x"}]},
        "contents must include at least one first_frame item",
    ),
    (OLD, {"model_name": "kling-v3-0", "prompt": "x"}, "model_name value 'kling-v3-0' is invalid"),
    (OLD, {"prompt": "x"}, "The model 'kling-v1' has been discontinued"),
    (OLD, {"model_name": "kling-v2-6", "prompt": "x", "mode": "fast"}, "mode value 'fast'"),
    (OLD, {"model_name": "kling-v2-6", "prompt": "x", "mode": "4k"}, "4k mode is not supported"),
    (OLD, {"model_name": "kling-v2-6", "prompt": "x", "sound": "on"}, "mode value 'std'"),
    (OLD, {"model_name": "kling-v2-6", "prompt": "x", "cfg_scale": 5}, "cfgScale: must be less"),
    (OLD, {"model_name": "kling-v2-6", "prompt": "x", "sound": True}, "resolve the request body"),
    (OLD, {"model_name": "kling-v3-omni", "prompt": "x"}, "model is not supported"),
    (OLD, {"model_name": "kling-v2-master", "prompt": "x", "mode": "professional"}, "mode value"),
    (OLD, {"model_name": "kling-v2-1-master", "prompt": "x", "mode": "4k"}, "4k mode is not"),
    (T2V, {"prompt": "", "settings": {"aspect_ratio": "99:1", "resolution": "b"}}, "aspect_ratio"),
    (T2V, {"prompt": "", "settings": {"resolution": "b"}}, "values: 480p, 720p, 1080p, 4k"),
    (T2V, {"prompt": "", "settings": {"resolution": "480p"}}, "video resolution value '480p'"),
    (T2V, {"prompt": "", "settings": {"audio": "b"}}, "allowed values: native, off, original"),
    (T2V, {"prompt": "x", "settings": {"seed": "b"}}, "settings.seed value 'b' is invalid"),
    (
        "/kling/text-to-video/kling-3.0-turbo",
        {"prompt": "x", "settings": {"audio": "bogus"}},
        "settings.audio value 'bogus' is invalid",
    ),
    (
        "/kling/omni-video/kling-3.0-omni",
        {
            "contents": [
                {"type": "prompt", "text": "x"},
                {"type": "base_video", "url": "https://example.com/v.mp4"},
            ]
        },
        "multi_shot is not supported with video input",
    ),
    ("/kling/v1/videos/video-extend", {"video_id": "1", "cfg_scale": 5}, "cfgScale: must be less"),
    (
        "/kling/v1/videos/image2video",
        {"model_name": "kling-v2-5-turbo", "image": "http://x", "image_tail": "http://x"},
        "model/mode/duration(kling-v2-5-turbo/std/5) is not supported with image_tail",
    ),
    (
        "/kling/v1/videos/image2video",
        {"model_name": "kling-v2-6"},
        "image and image_tail can not be empty at the same time",
    ),
    (
        "/kling/v1/videos/image2video",
        {"model_name": "kling-v2-6", "image": "data:image/png;base64,AAAA"},
        "File is not in a valid base64 format",
    ),
]


@pytest.mark.parametrize(("path", "body", "words"), REFUSED)
def test_what_the_vendor_refuses_is_refused(
    server: SandboxServer, path: str, body: dict[str, Any], words: str
) -> None:
    """400/1201 in the recorded words where there are any; nothing is created."""
    status, answer = call(server, "POST", path, body)
    assert (status, answer["code"]) == (400, 1201)
    assert words in answer["message"]
    assert server.charges() == []


def test_what_other_clients_send_is_taken(server: SandboxServer) -> None:
    """cfg_scale with any model, two slashes, the old name of omni on its new path."""
    for model in ("kling-v2-master", "kling-v2-1-master", "kling-v2-6", "kling-v3"):
        body = {"model_name": model, "prompt": "x", "cfg_scale": 0.5}
        assert call(server, "POST", OLD, body)[0] == 200, model
    for path in ("/kling/v1//videos/text2video", "/kling//v1/videos/text2video//"):
        _, answer = call(server, "GET", path)
        assert len(answer["data"]) == 4
    contents = {"contents": [{"type": "prompt", "text": "x"}], "settings": {"aspect_ratio": "1:1"}}
    assert call(server, "POST", "/kling/omni-video/kling-v3-omni", contents)[0] == 200
    status, answer = call(server, "POST", "/kling/omni-video/kling-v3-1-omni", contents)
    assert (status, answer["message"]) == (400, "model is not supported")


def test_paths_that_there_are_not_are_told_by_the_server(server: SandboxServer) -> None:
    """Its own form (seen 2025-06-14): no code, no request id; whatever the credentials are."""
    for path in ("/v1/elements", "/v1/image/generation", "/nothing/kling-3.0"):
        status, answer = call(server, "POST", f"/kling{path}", {}, token())
        assert (status, answer.pop("timestamp")[-5:]) == (404, "+0000")
        message = {"error": "Not Found", "message": "No message available"}
        assert answer == {"status": 404, **message, "path": path}
    for method, path in (("GET", "/text-to-video/kling-3.0"), ("POST", "/v1/videos/text2video/x")):
        status, answer = call(server, method, f"/kling{path}", {})
        assert (status, answer["code"]) == (404, 1202), path
    body = {"model_name": "kling-v3-turbo", "prompt": "x"}
    assert call(server, "POST", OLD, body)[1]["code"] == 1203


def test_a_body_that_cannot_be_read(server: SandboxServer) -> None:
    """1201, in the words that two clients recorded."""
    for content in (b"{", b"[]", b'{"model_name": ["kling-v3"]}', b'{"image_list": 5}'):
        answer = httpx.post(server.url + OLD, content=content, headers=KEY).json()
        assert answer["code"] == 1201, content
    assert server.charges() == []


def test_unknown_fields_are_ignored(server: SandboxServer) -> None:
    """As recorded on both APIs, 2026-08."""
    assert call(server, "POST", T2V, {"prompt": "x", "zzz_nope": 1})[0] == 200


def test_slots_and_packs() -> None:
    """1303 over the slots (without ``data``), 1102 when the pack is empty; both free."""
    with sandbox_server(concurrency=2, seconds_per_job=100) as server:
        assert [call(server, "POST", T2V, {"prompt": "x"})[0] for _ in range(2)] == [200, 200]
        status, answer = call(server, "POST", T2V, {"prompt": "x"})
        assert (status, answer["code"]) == (429, 1303)
        assert answer["message"] == "parallel task over resource pack limit"
        assert "data" not in answer
        other = "/kling/text-to-video/kling-3.0"
        assert call(server, "POST", other, {"prompt": "x"})[0] == 200, "slots count by model"
        server.advance(200)
        assert call(server, "POST", T2V, {"prompt": "x"})[0] == 200
    with sandbox_server(units=1.0) as server:
        assert call(server, "POST", T2V, {"prompt": "x"})[0] == 200
        status, answer = call(server, "POST", T2V, {"prompt": "x"})
        assert (status, answer["code"]) == (429, 1102)
        window = f"start_time=0&end_time={int(time.time() * 1000)}"
        _, costs = call(server, "GET", f"/kling/account/costs?{window}")
        packs = costs["data"]["resource_pack_subscribe_infos"]
        assert [pack["remaining_quantity"] for pack in packs] == [-0.5, 1.0, 1.0]
        picture = {"model_name": "kling-v3", "prompt": "x"}
        status, _ = call(server, "POST", "/kling/v1/images/generations", picture)
        assert status == 200, "an empty video pack does not keep pictures from being made"


def test_a_task_goes_through_its_states_and_its_link_ends() -> None:
    """submitted, processing, succeeded; the link ends 30 days later."""
    with sandbox_server(seconds_per_job=100) as server:
        _, answer = call(server, "POST", T2V, {"prompt": "x"})
        path = f"/kling/tasks?task_ids={answer['data']['id']}"
        states = []
        for step in (0, 30, 80):
            server.advance(step)
            states.append(call(server, "GET", path)[1]["data"][0]["status"])
        assert states == ["submitted", "processing", "succeeded"]
        url = call(server, "GET", path)[1]["data"][0]["outputs"][0]["url"]
        assert httpx.get(url).status_code == 200
        server.advance(30 * 86_400 + 1)
        assert httpx.get(url).status_code == 403


def test_magic_words_and_small_pictures_fail_after_acceptance(server: SandboxServer) -> None:
    """HTTP 200 first; the reason stands on the task, and nothing is billed."""
    import base64

    from onetake.testing.suite import sample_picture

    small = base64.b64encode(sample_picture(200, 400)).decode()
    contents = [{"type": "first_frame", "url": small}]
    cases = [
        (T2V, {"prompt": "[[fail]]"}, "sandbox"),
        (T2V, {"prompt": "[[moderation]]"}, "risk control"),
        ("/kling/image-to-video/kling-2.6", {"contents": contents}, "Image pixel is invalid"),
    ]
    for path, body, reason in cases:
        _, answer = call(server, "POST", path, body)
        _, found = call(server, "GET", f"/kling/tasks?task_ids={answer['data']['id']}")
        record = found["data"][0]
        assert record["status"] == "failed"
        assert reason in record["message"]
        assert record["billing"] == [{"amount": "0"}]
    assert not any(charge["settled"] for charge in server.charges())
