"""fal's own Python client, unmodified, against a sandbox: only its URL constants point there.

Runs in a process of its own, because the client leaves connections open. Prints one JSON line.
"""

import asyncio
import json
import sys

import fal_client
from fal_client import client as module

base, picture = sys.argv[1], sys.argv[2]
module.QUEUE_URL_FORMAT = f"{base}/fal/queue/"
module.RUN_URL_FORMAT = f"{base}/fal/run/"
module.REST_URL = f"{base}/fal/rest"
module.CDN_URL = f"{base}/fal/cdn"
KEY = "sandbox:sandbox"
APP = "fal-ai/kling-video/v2/master/image-to-video"
seen = {}


def blocking():
    """Upload, submit, follow, fetch, cancel, subscribe, run."""
    client = fal_client.SyncClient(key=KEY)
    url = client.upload_file(picture)
    body = {"prompt": "x", "image_url": url, "duration": "5"}
    handle = client.submit(APP, body)
    seen["states"] = [type(event).__name__ for event in handle.iter_events(with_logs=True)]
    seen["result"] = handle.get()
    seen["cancel"] = status_of(handle.cancel)
    waiting = client.submit(APP, body)
    waiting.cancel()
    seen["after_cancel"] = waiting.status().error_type
    seen["subscribe"] = client.subscribe(APP, body)["video"]["file_name"]
    seen["run"] = client.run(APP, body)["video"]["content_type"]
    seen["bad_duration"] = status_of(lambda: client.subscribe(APP, {**body, "duration": "7"}))
    seen["wrong_key"] = status_of(lambda: fal_client.SyncClient(key="a:b").submit(APP, body))


def status_of(call):
    """Return the HTTP status that a call fails with, or None."""
    try:
        call()
    except fal_client.FalClientHTTPError as error:
        return error.status_code
    return None


async def asynchronous():
    """The same with the other client, and an upload in parts."""
    client = fal_client.AsyncClient(key=KEY)
    url = await client.upload_file(picture)
    handle = await client.submit(APP, {"prompt": "x", "image_url": url})
    seen["async_result"] = (await handle.get())["video"]["url"]
    seen["big"] = await client.upload(b"x" * (101 << 20), "application/octet-stream", "big.bin")


blocking()
asyncio.run(asynchronous())
print(json.dumps(seen))
