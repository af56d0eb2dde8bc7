"""The last place for a paid task's id when the ledger cannot take it.

It is written to standard error and to a file of its own; resuming the job reads the file back.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onetake.driver import Task
from onetake.files import write_atomic
from onetake.job import TaskStatus

log = logging.getLogger("onetake.engine")


@dataclass(frozen=True)
class Noted:
    """What an emergency file says.

    Attributes:
        task: the vendor's task.
        outcome: columns of its job, where the answer to the POST was the result.
    """

    task: Task
    outcome: Mapping[str, Any]


class EmergencyFolder:
    """One file per job whose task id is not in the ledger yet."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._told: set[tuple[str, str, bool]] = set()

    def write(
        self, job_id: str, entry: dict[str, Any], reason: Exception, *, aloud: bool = True
    ) -> None:
        """Tell a person, unless it may still be recorded, and write the file; once per task."""
        told = (job_id, entry["task"]["id"], aloud)
        if told in self._told:
            return
        self._told.add(told)
        line = json.dumps({"job_id": job_id, **entry})
        if aloud:
            print(  # noqa: T201 - the last place left
                f"onetake: PAID TASK NOT RECORDED ({reason}): {line}", file=sys.stderr
            )
        else:
            log.warning("job %s: %s; its task is noted in %s", job_id, reason, self._path(job_id))
        try:
            write_atomic(self._path(job_id), line.encode())
        except OSError as failure:
            log.critical("the emergency file %s cannot be written: %s", self._path(job_id), failure)

    def read(self, job_id: str) -> Noted | None:
        """Return what a file says of a job."""
        try:
            entry = json.loads(self._path(job_id).read_bytes())
            outcome = dict(entry.get("outcome") or {})
            if "task" in outcome:
                outcome["task"] = TaskStatus(outcome["task"])
            return Noted(Task(**entry["task"]), outcome)
        except OSError:
            return None
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            log.warning("the emergency file %s is unreadable: %s", self._path(job_id), error)
            return None

    def settled(self, job_id: str) -> None:
        """Remove the file: the ledger has it now."""
        try:
            self._path(job_id).unlink(missing_ok=True)
        except OSError as error:
            log.warning("the emergency file %s stays: %s", self._path(job_id), error)

    def _path(self, job_id: str) -> Path:
        return self._folder / f"{job_id}.json"
