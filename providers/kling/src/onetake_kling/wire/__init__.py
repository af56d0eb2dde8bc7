"""Our words ↔ Kling's JSON, in both API generations. Pure: no network, no clock.

new        ``POST /text-to-video/<model>``, ``/omni-video/<model>`` …; ``GET /tasks``
legacy     ``POST /v1/videos/text2video`` …; ``GET <path>/<id>``
solutions  ``POST /solutions/<name>``; ``GET /solutions``

`submitting` writes submissions, by way of `new` and `legacy`; `records` reads answers.
"""
