"""fal.ai for onetake."""
