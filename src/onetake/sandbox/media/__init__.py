"""Real media for the sandbox: films that can be watched, probed and cut."""
