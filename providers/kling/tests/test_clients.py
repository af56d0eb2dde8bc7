"""Clients that this project did not write, against the dialect.

What a registry has runs unmodified; of the others (sources without a package, or one for a newer
Python) the bodies that they sent were recorded.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from onetake.testing import SandboxServer, sandbox_server

from .requests_of import PICTURE, token

CLIENTS = Path(__file__).parent / "clients"
RECORDED = json.loads((CLIENTS / "recorded.json").read_text())["requests"]


def parameters() -> list[Any]:
    """Return all rows; those with a path that came before are left to `make capabilities`."""
    seen: set[str] = set()
    rows = []
    for number, row in enumerate(RECORDED):
        marks = [pytest.mark.capabilities] if row["path"] in seen else []
        seen.add(row["path"])
        rows.append(pytest.param(row, marks=marks, id=f"{row['client']} {row['path']} {number}"))
    return rows


@pytest.fixture(scope="module")
def tolerant() -> Iterator[SandboxServer]:
    """A sandbox that takes old models too, with room for all."""
    with sandbox_server(concurrency=1000, allow_discontinued=True) as server:
        yield server


@pytest.mark.parametrize("row", parameters())
def test_recorded_bodies_are_taken(row: dict[str, Any], tolerant: SandboxServer) -> None:
    """Accepted, and found by the id that the answer has."""
    picture = base64.b64encode(PICTURE).decode()
    body = json.dumps(row["body"]).replace("<picture>", picture)
    path = f"{tolerant.url}/kling{row['path']}"
    answer = httpx.post(path, content=body, headers=token()).json()
    assert answer["code"] == 0, answer
    found = httpx.get(f"{path}/{answer['data']['task_id']}", headers=token()).json()
    assert found["data"]["task_status"] == "succeed"


@pytest.mark.capabilities
@pytest.mark.javascript
def test_the_npm_client(tmp_path: Path) -> None:
    """Creates, waits, downloads, and reads a refusal."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    (tmp_path / "package.json").write_text('{"private": true, "type": "module"}')
    install = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "kling-api@1.0.0"]
    try:
        done = subprocess.run(install, cwd=tmp_path, capture_output=True, timeout=80, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("the npm registry does not answer")
    if done.returncode != 0:
        pytest.skip("the npm registry cannot be reached")
    script = tmp_path / "client.mjs"
    script.write_text((CLIENTS / "kling_api.mjs").read_text())
    with sandbox_server() as server:
        command = ["node", str(script), f"{server.url}/kling"]
        ran = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert ran.returncode == 0, ran.stderr
        seen = json.loads(ran.stdout.splitlines()[-1])
        assert (seen["status"], seen["type"], seen["duration"]) == (200, "video/mp4", "5.041")
        assert "discontinued" in seen["refused"]
        assert len(server.charges()) == 1
