"""Paintbox keeps the driver contract."""

from onetake import GenerationRequest
from onetake.driver import Task
from onetake.testing.suite import DriverSuite


class TestPaintbox(DriverSuite):
    """All standard tests."""

    provider = "paintbox"
    request = GenerationRequest("a lake", model="paintbox-one", parameters={"duration": 4})
    wrong_key = {"api_key": "wrong"}
    known_task = Task("film_unknown", path="/v1/films")
