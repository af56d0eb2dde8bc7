"""Envelopes and refusals, with the vendor's own words where they were recorded.

Recorded answers carry no ``data`` when they refuse, and leave empty members out.
"""

from __future__ import annotations

import uuid
from typing import Any

from starlette.responses import JSONResponse, Response

HTTP_OF = {
    1000: 401,
    1001: 401,
    1002: 401,
    1003: 401,
    1004: 401,
    1100: 429,
    1101: 429,
    1102: 429,
    1103: 403,
    1200: 400,
    1201: 400,
    1202: 404,
    1203: 404,
    1300: 400,
    1301: 400,
    1302: 429,
    1303: 429,
    1304: 429,
    5000: 500,
    5001: 503,
    5002: 504,
}


class Refusal(Exception):
    """A documented no."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def response(self) -> Response:
        """Return the HTTP answer."""
        body = {"code": self.code, "message": self.message, "request_id": str(uuid.uuid4())}
        return JSONResponse(body, status_code=HTTP_OF[self.code])


def invalid(message: str) -> Refusal:
    """Return the refusal of a bad value."""
    return Refusal(1201, message)


def success(data: Any) -> Response:
    """Return a good answer."""
    body = {"code": 0, "message": "SUCCEED", "request_id": str(uuid.uuid4()), "data": data}
    return JSONResponse(body)
