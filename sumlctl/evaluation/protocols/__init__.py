"""Evaluation protocols: a module with `score` is one.

`score(predictions)` takes the predictions as a polars frame (columns of the predictions table)
and returns rows of the metrics table without `protocol` and `n_views`.
"""
