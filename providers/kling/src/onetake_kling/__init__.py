"""The official Kling API for onetake."""
