"""Runs the benchmarks named on the command line, or all of them."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys

import benchmarks

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command sets it
every = [m.name for m in pkgutil.iter_modules(benchmarks.__path__)]
for name in sys.argv[1:] or [n for n in every if n not in {"__main__", "common"}]:
    importlib.import_module(f"benchmarks.{name}").main()
