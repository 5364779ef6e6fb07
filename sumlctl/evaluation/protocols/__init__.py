"""Evaluation protocols: a module with `score` is one."""
