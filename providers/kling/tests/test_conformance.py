"""The official Kling API keeps the driver contract."""

import pytest

from onetake import GenerationRequest
from onetake.testing.suite import DriverSuite


class TestKlingWithApiKey(DriverSuite):
    """The new API."""

    provider = "kling"
    request = GenerationRequest("a lake", model="kling-v2.6-pro-text", parameters={"duration": 5})
    image_request = GenerationRequest("a lake", model="kling-v2.6-pro-image")


@pytest.mark.capabilities
class TestKlingOldApi(DriverSuite):
    """The old API, where a model exists only there."""

    provider = "kling"
    request = GenerationRequest("a lake", model="kling-v2.1-master-text")
    image_request = GenerationRequest("a lake", model="kling-v2-1-master")
