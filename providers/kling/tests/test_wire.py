"""Bodies as the vendor's documentation shows them, and answers as they were recorded."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from onetake import AuthenticationError, ContentRejected, GenerationRequest, JobFailed, RequestError
from onetake.assets import Asset
from onetake.driver import Charge, PreparedAsset, Submission
from onetake.errors import ProviderUnavailable
from onetake.fitting import fit
from onetake.http import dump_json
from onetake.job import TaskStatus
from onetake.plugins import catalog
from onetake_kling.wire import records, submitting

GIRL = (
    "A girl sat on the train, looking out the window with a melancholic expression, "
    "her head swaying with the train."
)
IMAGE = "https://example.com/image_25.png"


def sent(model: str, *, has_api_key: bool = True, **fields: Any) -> Submission:
    """Translate a request."""
    fitted = fit(GenerationRequest(GIRL, model=model, **fields), catalog("kling"))
    assets = [PreparedAsset(asset, asset.url or "") for asset in fitted.assets]
    return submitting.submission(fitted, "our-id", assets, has_api_key=has_api_key)


NEW_SAMPLES = [
    (
        "kling-v3-turbo-std-text",
        {"duration": 3, "aspect_ratio": "9:16"},
        [],
        "/text-to-video/kling-3.0-turbo",
        {
            "prompt": GIRL,
            "settings": {"resolution": "720p", "aspect_ratio": "9:16", "duration": 3},
            "options": {"external_task_id": "our-id"},
        },
    ),
    (
        "kling-v3-4k-text",
        {"duration": 15, "aspect_ratio": "16:9", "audio": False, "watermark": False},
        [],
        "/text-to-video/kling-3.0",
        {
            "prompt": GIRL,
            "settings": {
                "resolution": "4k", "aspect_ratio": "16:9", "duration": 15, "audio": "off",
            },
            "options": {"external_task_id": "our-id", "watermark_info": {"enabled": False}},
        },
    ),
    (
        "kling-v2.5-turbo-pro-image",
        {"duration": 5},
        [IMAGE],
        "/image-to-video/kling-2.5-turbo",
        {
            "contents": [
                {"type": "prompt", "text": GIRL},
                {"type": "first_frame", "url": IMAGE},
            ],
            "settings": {"resolution": "1080p", "duration": 5},
            "options": {"external_task_id": "our-id"},
        },
    ),
    (
        "kling-v3-pro-image",
        {"duration": 10, "audio": True, "callback_url": "https://xxx/callback"},
        [IMAGE, IMAGE],
        "/image-to-video/kling-3.0",
        {
            "contents": [
                {"type": "prompt", "text": GIRL},
                {"type": "first_frame", "url": IMAGE},
                {"type": "last_frame", "url": IMAGE},
            ],
            "settings": {"resolution": "1080p", "duration": 10, "audio": "native"},
            "options": {"external_task_id": "our-id", "callback_url": "https://xxx/callback"},
        },
    ),
]  # fmt: skip
"""From the vendor's pages for each model, fetched 2026-09-20; our id in place of an empty one."""


@pytest.mark.parametrize(("model", "parameters", "assets", "path", "body"), NEW_SAMPLES)
def test_the_new_api_as_documented(
    model: str, parameters: dict[str, Any], assets: list[str], path: str, body: dict[str, Any]
) -> None:
    """Byte for byte, but for the ids."""
    found = sent(model, parameters=parameters, reference_assets=assets)
    assert found.path == path
    assert dump_json(found.body) == dump_json(body)
    assert found.route == "new"


def test_the_old_api_as_documented() -> None:
    """The vendor's legacy sample of mid-2026: v2-6, both frames, pro, string duration."""
    found = sent(
        "kling-v2-6",
        has_api_key=False,
        parameters={"mode": "pro", "duration": 5, "sound": "off"},
        reference_assets=[IMAGE, IMAGE],
        negative_prompt="blur",
    )
    assert found.path == "/v1/videos/image2video"
    assert found.body == {
        "model_name": "kling-v2-6",
        "image": IMAGE,
        "image_tail": IMAGE,
        "prompt": GIRL,
        "negative_prompt": "blur",
        "duration": "5",
        "mode": "pro",
        "sound": "off",
        "external_task_id": "our-id",
    }


def test_master_models_take_no_mode() -> None:
    """And exist on the old API only."""
    found = sent("kling-v2.1-master-text", parameters={"duration": 10})
    assert found.route == "legacy"
    assert "mode" not in found.body


def test_routing_takes_the_newest_api_that_can_say_it() -> None:
    """A negative prompt exists on the old API only; a JWT opens only the old one."""
    assert sent("kling-v2.6-pro-text").route == "new"
    assert sent("kling-v2.6-pro-text", negative_prompt="x").route == "legacy"
    assert sent("kling-v2.6-pro-text", has_api_key=False).route == "legacy"
    with pytest.raises(AuthenticationError, match="API key"):
        sent("kling-v3-turbo-std-text", has_api_key=False)


def test_vendor_fields_are_merged_and_our_id_is_safe() -> None:
    """Objects merge; the id by which a lost job is found cannot be replaced."""
    found = sent("kling-v2.6-pro-text", parameters={"kling": {"settings": {"seed": 7}}})
    assert found.body["settings"] == {"resolution": "1080p", "seed": 7}
    for block in ({"external_task_id": "x"}, {"options": {"external_task_id": None}}):
        with pytest.raises(RequestError, match="external_task_id"):
            sent("kling-v2.6-pro-text", parameters={"kling": block})


def test_a_recorded_success_is_read() -> None:
    """New standard, recorded by a third party on 2026-09-28 (times filled in)."""
    record = json.loads(
        '{"id":"933557962801545273","status":"succeeded","outputs":[{"type":"video","id":"1",'
        '"url":"https://v15-kling-fdl.klingai.com/x.mp4","duration":"5.041"}],"message":"",'
        '"create_time":1790605869865,"update_time":1790605899865,'
        '"billing":[{"charge_type":"unit","amount":"3","package_type":"video"}]}'
    )
    snapshot = records.snapshot(record)
    assert snapshot.status is TaskStatus.SUCCEEDED
    assert snapshot.outputs[0].url.endswith("x.mp4")
    assert snapshot.outputs[0].expires_at == pytest.approx(1790605899.865 + 30 * 86400)
    assert snapshot.charge is not None
    assert snapshot.charge.units == Decimal(3)


def test_recorded_answers_of_the_old_api_are_read() -> None:
    """A success of 2025-09-18 and a failure of 2025-12-26, as recorded."""
    good = records.snapshot(
        {
            "task_id": "797539647311749155",
            "task_status": "succeed",
            "task_info": {"external_task_id": "bf54fb9d"},
            "task_result": {
                "videos": [{"id": "1", "url": "https://v2/x.mp4", "duration": "14.666"}]
            },
            "task_status_msg": "",
            "created_at": 1758176788274,
            "updated_at": 1758177101390,
            "final_unit_deduction": "4.4",
        }
    )
    assert good.status is TaskStatus.SUCCEEDED
    assert good.charge is not None
    assert good.charge.units == Decimal("4.4")
    bad = records.snapshot(
        {
            "task_id": "833446756",
            "task_info": {},
            "task_result": {},
            "task_status": "failed",
            "task_status_msg": "Image pixel is invalid",
        }
    )
    assert bad.status is TaskStatus.FAILED
    assert isinstance(bad.error, JobFailed)
    risky = records.snapshot(
        {"id": "1", "status": "failed", "message": "Failure to pass the risk control system"}
    )
    assert isinstance(risky.error, ContentRejected)


def test_an_unknown_status_raises() -> None:
    """It never reads as still running."""
    with pytest.raises(ProviderUnavailable, match="paused") as caught:
        records.snapshot({"id": "1", "status": "paused"})
    assert not caught.value.retryable


def test_only_the_task_with_our_id_is_taken() -> None:
    """A server that ignores the filter does not hand us somebody else's task."""
    submission = Submission(path="/p", body={})
    foreign = [{"id": "1", "external_id": "someone-else"}, {"id": "2"}]
    assert records.found_task(foreign, "our-id", submission) is None
    mine = records.found_task(
        [*foreign, {"id": "3", "external_id": "our-id"}], "our-id", submission
    )
    assert mine is not None
    assert mine.id == "3"


def test_pictures_go_as_raw_base64() -> None:
    """No ``data:`` prefix: the vendor documents it as wrong."""
    from onetake.engine.bodies import encode, stored_form
    from onetake.testing.suite import sample_picture

    data = sample_picture()
    request = GenerationRequest("x", model="kling-v2.6-pro-image", reference_assets=[Asset(data)])
    fitted = fit(request, catalog("kling"))
    from onetake.driver import Blob

    prepared = [PreparedAsset(fitted.assets[0], Blob(fitted.assets[0].sha256))]
    found = submitting.submission(fitted, "id", prepared, has_api_key=False)
    body = json.loads(encode(stored_form(found.body), lambda _: data))
    assert body["image"].startswith("/9j/")


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([{"amount": "1.5", "package_type": "video"}], Charge(Decimal("1.5"), pack="video")),
        (
            [
                {"charge_type": "cash", "amount": "0.10", "currency": "USD"},
                {"charge_type": "cash", "amount": "0.25", "currency": "USD"},
            ],
            Charge(amount=Decimal("0.35"), currency="USD"),
        ),
        (
            [
                {"amount": "1.5", "package_type": "video"},
                {"charge_type": "cash", "amount": "0.14", "currency": "USD"},
            ],
            None,
        ),
    ],
)
def test_a_bill_of_several_rows(rows: list[dict[str, str]], expected: Charge | None) -> None:
    """They are added up; units and cash together are left to the books."""
    assert records._charge({"billing": rows}, "/v1/videos/text2video") == expected
