"""The dialect of the official Kling API for the sandbox.

It is written from the vendor's pages and from recorded answers, not from our driver; neither
imports the other. Where the vendor's behaviour is not known, a setting decides and its default
is stated in ``docs/providers/kling.md``.
"""

from onetake_kling.sandbox.routes import routes as routes
