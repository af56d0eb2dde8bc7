"""The dialect of fal.ai for the sandbox: queue, direct runs, storage, media.

It is written from fal's pages, recorded exchanges and what the official clients demand, not from
our driver; neither imports the other. Endpoints, fields and prices come from ``endpoints.json``,
as captured.
"""

from onetake_fal.sandbox.routes import routes as routes
