"""Paintbox for onetake."""
