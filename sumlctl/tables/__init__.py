"""Manifests: Parquet tables that are whole or absent, with their provenance and checked reads."""

from sumlctl.tables.io import (
    DECODABLE,
    batches,
    check,
    digest,
    made_with,
    metadata,
    read,
    there,
    vectors,
    whole_file,
    write,
)
from sumlctl.tables.schemas import schema

__all__ = [
    "DECODABLE",
    "batches",
    "check",
    "digest",
    "made_with",
    "metadata",
    "read",
    "schema",
    "there",
    "vectors",
    "whole_file",
    "write",
]
