"""fal keeps the driver contract."""

from onetake import GenerationRequest
from onetake.driver import Task
from onetake.testing.suite import DriverSuite


class TestFal(DriverSuite):
    """fal's queue."""

    provider = "fal"
    request = GenerationRequest("a lake", model="kling-v2.6-pro-text", parameters={"duration": 5})
    image_request = GenerationRequest(
        "a lake", model="fal-ai/kling-video/v2/master/image-to-video", parameters={"duration": "5s"}
    )
    known_task = Task("00000000-0000-7000-8000-000000000000", path="fal-ai/kling-video/v2/master")
