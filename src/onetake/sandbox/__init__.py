"""The sandbox: an emulator of the vendors' APIs that renders real media.

This half is vendor-neutral: tasks, slots, charges, faults, films, control and serving. Each
provider brings its *dialect*: the paths, envelopes, refusals and prices of its vendor. Neither
half shares code with the client; both would share a mistake.

It is not the vendor: it knows no model, it draws; it is as strict as the vendors' documents and
recorded answers, and no stricter.
"""

from onetake.sandbox.service import Sandbox as Sandbox
from onetake.sandbox.service import SandboxSettings as SandboxSettings
from onetake.sandbox.tasks import SandboxTask as SandboxTask
