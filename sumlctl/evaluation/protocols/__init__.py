"""Evaluation protocols: a module with `score` is one.

`score(predictions, context)` takes the predictions as a polars frame (columns of the predictions
table) and what else a protocol may need (`protocols.context.Context`), and returns rows of the
metrics table without `protocol` and `n_views`. Two further functions of a module serve the
confidence intervals and comparisons, with the same arguments: `measures` returns the numbers
before they are computed, each as a function of how often every video counts
(`protocols.measures.Measure`), and `per_class` returns one value per class.
"""
