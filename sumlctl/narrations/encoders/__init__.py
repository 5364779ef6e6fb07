"""Narration encoders: a module with `load` is one."""
