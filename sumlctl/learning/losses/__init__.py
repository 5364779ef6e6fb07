"""Losses; a module with `build` is a training method."""
