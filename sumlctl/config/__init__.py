"""Configuration: pipelines with their sections and options, dataset configurations, parsing."""

from sumlctl.config.pipeline import (
    FOR_RUN,
    PRECISIONS,
    Pipeline,
    checked,
    load,
    overrides,
    read,
    refuse,
)

__all__ = [
    "FOR_RUN",
    "PRECISIONS",
    "Pipeline",
    "checked",
    "load",
    "overrides",
    "read",
    "refuse",
]
