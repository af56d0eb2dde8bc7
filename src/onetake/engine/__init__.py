"""The engine: intent, one POST, watching, delivery. Every mode of onetake runs through it."""
