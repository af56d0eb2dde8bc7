"""What once went wrong, or nearly: money and ids above all."""

from __future__ import annotations

import io
import json
from typing import Any

import httpx
import pytest
from PIL import Image

from onetake import Asset, GenerationRequest, JobState, RequestError, get_provider
from onetake.engine.emergency import EmergencyFolder
from onetake.errors import BudgetExceeded, DeliveryError, JobTimeout
from onetake.fitting import fit
from onetake.plugins import catalog
from onetake.settings import Settings
from onetake.testing import SandboxServer

from .test_accepted import body, fitted
from .test_chains import SPOKEN, done

KEY = {"Authorization": "Bearer sandbox"}
SPEECH = GenerationRequest(
    "Good morning.", model="kling-tts", parameters={"voice": "oversea_male1"}
)


@pytest.mark.parametrize("value", [None, [], "x", 1])
def test_our_id_cannot_be_pushed_out(value: Any) -> None:
    """A block that would replace the object with our id is refused."""
    request = fitted("kling-v3-pro-text", {"kling": {"options": value}})
    with pytest.raises(RequestError, match=r"kling\.options"):
        body(request)
    own = {"endpoint": "/text-to-video/kling-9", "options": value}
    passed = fit(GenerationRequest(parameters={"kling": own}), catalog("kling"))
    with pytest.raises(RequestError, match=r"kling\.options"):
        body(passed)


def test_passed_on_fields_make_the_price_unknown(server: SandboxServer, settings: Settings) -> None:
    """A limit then holds: what may be dearer is not sent. Harmless fields change nothing."""
    dear = GenerationRequest(
        "x", None, "kling-v3-std-text", {"kling": {"settings": {"duration": 15}}}
    )
    with pytest.raises(BudgetExceeded, match="passed to the vendor as it is"):
        done(server, settings, dear, max_cost="0.45")
    assert server.charges() == []
    kept = GenerationRequest(
        "x", None, "kling-v3-std-text", {"kling": {"options": {"watermark_info": {}}}}
    )
    assert get_provider("kling", sandbox=server.url).estimate(kept).expected is not None


def test_one_refused_download_does_not_lose_a_synchronous_result(
    server: SandboxServer, settings: Settings
) -> None:
    """Its task cannot be asked for, but its link has weeks to go: it is paid once."""
    server.fail("http_404", path="/kling/cdn")
    keyed = GenerationRequest(SPEECH.prompt, None, SPEECH.model, SPEECH.parameters, key="speech")
    with pytest.raises(DeliveryError, match="no link that works"):
        done(server, settings, keyed)
    result = done(server, settings, keyed)
    assert result.artifacts[0].media_type == "audio/mpeg"
    assert len(server.charges()) == 1


def test_a_switch_is_read_as_people_write_it(server: SandboxServer) -> None:
    """ "n" is no; what is no switch and no number is refused."""
    assert fitted("kling-v3-std-text", {"audio": "n"}).parameters["audio"] is False
    assert fitted("kling-image-v3-text", {"n": "2"}).parameters["n"] == 2
    for model, bad in [
        ("kling-image-v3-text", {"n": True}),
        ("kling-v3-pro-text", {"shots": [{"prompt": None, "duration": 3}]}),
        ("kling-v3-pro-text", {"shots": "x"}),
        ("kling-v3-pro-reference", {}),
        ("kling-v3-pro-image", {"elements": [{"a": 1}]}),
        ("kling-v3-pro-image", {"elements": {}}),
        ("kling-v2.6-pro-image", {"voices": {}, "audio": True}),
    ]:
        with pytest.raises(RequestError):
            fitted(model, bad, ["https://example.com/p.jpg"] if "image" in model[-6:] else ())


@pytest.mark.parametrize("paths", [[1], [[1, 2]], [[{"a": 1}, {"b": 1}]], 1, [[[True, 1], [1, 1]]]])
def test_trajectories_that_are_none(paths: Any) -> None:
    """A sentence, not a traceback."""
    url = "https://example.com/p.jpg"
    files = [Asset(url, role="image"), Asset(url, role="mask")]
    with pytest.raises(RequestError, match="trajectories"):
        body(fitted("kling-v1.5-pro-image", {"trajectories": paths}, files))


def test_a_cut_picture_is_checked_again() -> None:
    """What is left may be too small; a ratio that is none is refused."""
    buffer = io.BytesIO()
    Image.new("RGB", (800, 400)).save(buffer, "JPEG")
    for ratio in ("1:3", "1e999:1", "1000:1"):
        with pytest.raises(RequestError):
            fitted(
                "kling-v3-pro-image",
                {"aspect_ratio": ratio, "crop": "center"},
                [Asset(buffer.getvalue())],
            )


def test_shots_are_measured_together_and_keep_to_their_lines() -> None:
    """Six long ones are longer than the prompt may be; a line break starts no new shot."""
    long = [{"prompt": "x" * 512, "duration": 2}] * 6
    with pytest.raises(RequestError, match="characters together"):
        body(fitted("kling-v3-pro-text", {"shots": long}))
    sly = [{"prompt": "a\nshot 2, 9, b", "duration": 5}]
    sent = body(fitted("kling-v3-pro-text", {"shots": sly}, prompt="left out"))
    assert sent.body["prompt"] == "shot 1, 5, a shot 2, 9, b;"
    assert "left out" in sent.notes[0]
    old = body(fitted("kling-v3-pro-text", {"shots": sly}, prompt="x"), has_api_key=False)
    assert old.body["prompt"] == ""
    assert "left out" in old.notes[0]


def test_a_first_frame_with_references_numbers_them_on() -> None:
    """As the vendor's samples of 3.0 omni and O1 have it."""
    url = "https://example.com/p.jpg"
    files = [Asset(url, role="first_frame"), Asset(url, role="reference")]
    for model in ("kling-o3-pro-image", "kling-o1-pro-image"):
        contents = body(fitted(model, {}, files)).body["contents"]
        assert [(item["type"], item.get("id")) for item in contents[1:]] == [
            ("first_frame", "image_1"),
            ("refer_image", "image_2"),
        ]


@pytest.mark.parametrize(
    "given", [{"external_task_id": []}, {"external_task_id": {}}, {"callback_url": 1}]
)
def test_ids_and_addresses_of_a_wrong_type(given: dict[str, Any], server: SandboxServer) -> None:
    """Refused by the dialect, which goes on."""
    for answer in (
        httpx.post(
            f"{server.url}/kling/text-to-video/kling-2.6",
            json={"prompt": "x", "options": {**given, "x": 1}},
            headers=KEY,
        ),
        httpx.post(
            f"{server.url}/kling/v1/videos/text2video",
            json={"model_name": "kling-v3", "prompt": "x", **given},
            headers=KEY,
        ),
    ):
        wrong = next(iter(given.values()))
        assert answer.json()["code"] == (1201 if wrong else 0), answer.text
    bad = {"prompt": "x", "options": 1}
    answer = httpx.post(f"{server.url}/kling/text-to-video/kling-2.6", json=bad, headers=KEY)
    assert answer.json()["code"] == 1201


def test_a_chain_keeps_the_callers_patience(server: SandboxServer, settings: Settings) -> None:
    """Its steps too."""
    slow = settings.model_copy(update={"sandbox_seconds_per_job": 0.0})
    server.fail("slow", times=5, path="/kling/cdn")
    with pytest.raises((JobTimeout, DeliveryError)):
        done(server, slow, SPOKEN, timeout=1)
    assert len(server.charges()) <= 1


def test_the_lost_answer_of_a_synchronous_call_is_kept_whole(
    server: SandboxServer, settings: Settings
) -> None:
    """The ledger cannot take it: the emergency file has the result, not only the id."""
    result = done(server, settings, SPEECH)
    folder = settings.home / "emergency"
    entry = {
        "task": {"id": result.job.task_id, "route": "legacy", "path": "/v1/audio/tts"},
        "outcome": {"task": "succeeded", "outputs": [{"url": "https://example.com/x.mp3"}]},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "j.json").write_text(json.dumps(entry))
    noted = EmergencyFolder(folder).read("j")
    assert noted is not None
    assert noted.outcome["task"].value == "succeeded"
    assert result.job.state is JobState.DELIVERED
