"""What a finished generation returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from onetake.errors import DeliveryError, OnetakeError
from onetake.files import copy_atomic
from onetake.job import Job
from onetake.money import Money
from onetake.request import GenerationRequest


@dataclass(frozen=True, slots=True)
class Artifact:
    """One delivered file. Its facts are measured from the file itself.

    Attributes:
        path: where it is kept.
        url: where the vendor offered it (such links expire), or None.
        media_type: such as ``video/mp4``.
        bytes: size.
        sha256: of the content.
        width: pixels, or None for sound.
        height: pixels, or None for sound.
        duration: seconds, or None for pictures.
        vendor_id: the vendor's id of the file, or None.
        name: the vendor's name of the file, or None.
    """

    path: Path
    url: str | None
    media_type: str
    bytes: int
    sha256: str
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    vendor_id: str | None = None
    name: str | None = None

    def save(self, path: str | Path) -> Path:
        """Copy the file to ``path`` (or into it, if it is a folder); return the new path.

        Raises:
            DeliveryError: the copy could not be written; the delivered file is untouched.
        """
        target = Path(path).expanduser()
        if target.is_dir():
            target = target / self.path.name
        try:
            copy_atomic(self.path, target)
        except OSError as error:
            raise DeliveryError(
                f"{target}: cannot be written: {error.strerror or error}.",
                hint=f"The file itself is safe at {self.path}.",
            ) from error
        return target

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {
            "path": str(self.path),
            "url": self.url,
            "media_type": self.media_type,
            "bytes": self.bytes,
            "sha256": self.sha256,
            "width": self.width,
            "height": self.height,
            "duration": self.duration,
            "vendor_id": self.vendor_id,
            "name": self.name,
        }

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> Artifact:
        """Rebuild what `to_json` wrote."""
        return Artifact(**{**record, "path": Path(record["path"])})


@dataclass(frozen=True, slots=True)
class GenerationResult:
    """A delivered job.

    Attributes:
        job: the job as the ledger has it.
        artifacts: the delivered files.
    """

    job: Job
    artifacts: tuple[Artifact, ...]

    @property
    def cost(self) -> Money | None:
        """What the vendor charged if it said so, else the estimate, else None (unknown)."""
        if self.job.actual and self.job.actual.get("amount") is not None:
            return Money(Decimal(self.job.actual["amount"]), self.job.actual["currency"])
        if self.job.estimate and self.job.estimate.get("expected") is not None:
            return Money(Decimal(self.job.estimate["expected"]), self.job.estimate["currency"])
        return None

    @property
    def notes(self) -> tuple[str, ...]:
        """What was translated or converted on the way."""
        return self.job.notes

    @property
    def path(self) -> Path:
        """The first delivered file."""
        return self.artifacts[0].path

    def save(self, path: str | Path) -> Path:
        """Copy the first delivered file to ``path``."""
        return self.artifacts[0].save(path)

    @staticmethod
    def of(job: Job) -> GenerationResult:
        """Build the result of a delivered job."""
        return GenerationResult(job, tuple(Artifact.from_json(item) for item in job.artifacts))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one request of many: a result, or an error.

    ``outcome.artifacts``, ``.path``, ``.job`` and ``.cost`` are those of the result; where there is
    none they raise the error.

    Attributes:
        request: the request.
        result: the delivered job, or None.
        error: why there is none, or None.
    """

    request: GenerationRequest
    result: GenerationResult | None = None
    error: OnetakeError | None = None

    def unwrap(self) -> GenerationResult:
        """Return the result.

        Raises:
            OnetakeError: there is none.
        """
        if self.result is not None:
            return self.result
        raise self.error or OnetakeError("this request has neither a result nor an error.")

    @property
    def job(self) -> Job:
        """The job of the result."""
        return self.unwrap().job

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """The delivered files."""
        return self.unwrap().artifacts

    @property
    def path(self) -> Path:
        """The first delivered file."""
        return self.unwrap().path

    @property
    def cost(self) -> Money | None:
        """What it cost, as far as is known."""
        return self.unwrap().cost
