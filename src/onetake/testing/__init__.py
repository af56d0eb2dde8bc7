"""For those who test with onetake: a sandbox server, a virtual clock, and the driver suite.

The driver suite (`onetake.testing.suite.DriverSuite`) is how a provider package proves that it
keeps the contract of `onetake.driver`. Nothing here is imported by onetake itself.
"""

from onetake.testing.clock import VirtualClock as VirtualClock
from onetake.testing.server import SandboxServer as SandboxServer
from onetake.testing.server import sandbox_server as sandbox_server

KIT_VERSION = 1
"""Grows when a test is added that an existing provider may fail."""
