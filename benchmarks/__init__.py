"""Side-by-side measurements. `python -m benchmarks [NAME...]` prints tables and writes JSON.

They read real annotations from the folder that SUMLCTL_SHARED names (default: `../shared`).
"""
