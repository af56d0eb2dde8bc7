"""fal's guide for Kling 2 Master, image to video, with onetake: the same calls, paid once.

Run it without arguments: it talks to the sandbox. With ``--live`` and FAL_KEY it costs USD 1.40.

    python examples/fal_image_to_video.py [FOLDER] [--live]
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from PIL import Image

from onetake import GenerationRequest, GenerationResult, Job, get_provider

MODEL = "fal-ai/kling-video/v2/master/image-to-video"
PROMPT = "Slow-motion sequence captures the catastrophic implosion of a skyscraper."


def request(picture: Path) -> GenerationRequest:
    """What the guide calls the input; a local file is uploaded."""
    return GenerationRequest(
        prompt=PROMPT,
        model=MODEL,
        parameters={"image_url": picture, "duration": "5", "cfg_scale": 0.5},
    )


def show_update(job: Job) -> None:
    """What the guide does in ``onQueueUpdate``: the state, and the lines of the log."""
    print(f"  {job.state.value}", *job.logs, sep="\n  ")


def show_result(result: GenerationResult) -> None:
    """What the guide prints: the file as fal offered it, and the id of the request."""
    film = result.artifacts[0]
    print(f"  url           {film.url}")
    print(f"  content_type  {film.media_type}")
    print(f"  file_name     {film.name}")
    print(f"  file_size     {film.bytes}")
    print(f"  request id    {result.job.task_id}")
    print(f"  kept at       {film.path}")


async def main(folder: Path, *, live: bool) -> None:
    """Generate at once, then step by step through the queue."""
    picture = folder / "picture.png"
    Image.linear_gradient("L").resize((1280, 720)).convert("RGB").save(picture)
    async with get_provider("fal", sandbox=not live) as fal:
        print("generate, with progress:")
        result = await fal.generate(request(picture), on_update=show_update)
        show_result(result)
        if live:
            return  # the second one would be paid, too

        print("submit, look, fetch:")
        job = await fal.submit(request(picture))
        print(f"  {job.state.value}, request id {job.task_id}")
        status = await fal.job(job.id)
        print(f"  {status.state.value}")
        show_result(await fal.wait(job.id))


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--live"]
    place = Path(words[0]) if words else Path(tempfile.mkdtemp())
    place.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(place, live="--live" in sys.argv))
