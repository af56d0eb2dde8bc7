"""The main job, offline: one shot, two vendors, real MP4 files, with its price.

Run with ``make demo``. It needs no key and no network: the sandbox stands in for both vendors.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import anyio
from PIL import Image, ImageDraw, ImageFilter

from onetake import GenerationRequest, GenerationResult, GenerationType, compare, get_provider

SHOTS = [
    ("fal", "fal-ai/kling-video/v2/master/image-to-video"),
    ("kling", "kling-v2.6-pro-image"),
]
PROMPT = "A paper boat drifts across a calm lake at sunset. The camera slowly zooms in."


def picture(path: Path) -> Path:
    """Paint the picture that both vendors are given."""
    image = Image.new("RGB", (1280, 720))
    draw = ImageDraw.Draw(image)
    for y in range(720):
        glow = y / 460 if y < 460 else (720 - y) / 420
        draw.line((0, y, 1280, y), fill=(round(70 + 185 * glow), round(60 + 110 * glow), 120))
    draw.ellipse((820, 330, 960, 470), fill=(255, 226, 150))
    image = image.filter(ImageFilter.GaussianBlur(2))
    draw = ImageDraw.Draw(image)
    draw.polygon([(430, 480), (770, 480), (700, 540), (500, 540)], fill=(245, 245, 240))
    draw.polygon([(600, 480), (600, 340), (710, 480)], fill=(225, 225, 220))
    image.save(path, quality=92)
    return path


async def film(provider: str, model: str, source: Path, folder: Path) -> GenerationResult:
    """Generate one film and copy it to the folder."""
    request = GenerationRequest(
        prompt=PROMPT, model=model, parameters={"duration": 5}, reference_assets=[source]
    )
    async with get_provider(provider, sandbox=True) as chosen:
        result = await chosen.generate(request)
    result.save(folder / f"{provider}.mp4")
    return result


async def main(folder: Path) -> None:
    """Make both films, then compare prices."""
    folder.mkdir(parents=True, exist_ok=True)
    source = picture(folder / "picture.jpg")
    print(f"one picture, one prompt, two vendors (on the sandbox)\n  {source}\n")
    for provider, model in SHOTS:
        started = time.monotonic()
        result = await film(provider, model, source, folder)
        file = result.artifacts[0]
        print(f"{provider:6} {model}")
        print(
            f"       {folder / (provider + '.mp4')}  {file.width}×{file.height}  "
            f"{file.duration:.2f} s  {file.bytes // 1024} kB  {cost(result)}  "
            f"({time.monotonic() - started:.0f} s)"
        )
    prices()


def cost(result: GenerationResult) -> str:
    """Say what the vendor charged, or what was estimated where it names no money."""
    actual = result.job.actual
    known = actual is not None and actual["amount"] is not None
    return f"{'charged' if known else 'estimated'} {result.cost}"


def prices() -> None:
    """Print what five silent seconds cost everywhere."""
    request = GenerationRequest(
        generation_type=GenerationType.IMAGE_TO_VIDEO,
        parameters={"duration": 5, "resolution": "1080p", "audio": False},
    )
    print("\n5 s image-to-video, 1080p, silent: list prices, like for like")
    print(f"{'provider':9}{'model':30}{'$/second':>9}{'$/job':>8}  price read")
    for offer in compare(request).offers:
        price = offer.estimate
        if price.expected is None or price.per_second is None:
            continue  # what has no known price stands at the end; `onetake compare` shows it
        print(
            f"{price.provider:9}{price.model:30}{price.per_second:>9.3f}{price.expected:>8.2f}"
            f"  {price.checked_on}"
        )


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "demo-output")
    with tempfile.TemporaryDirectory(prefix="onetake-demo-") as home:
        os.environ.setdefault("ONETAKE_HOME", home)
        anyio.run(main, target)
    print(
        "\nnext, with a picture of your own: onetake generate 'a lake' -p kling "
        "-m kling-v2.6-pro-image -a PICTURE.jpg --sandbox -o film.mp4"
    )
