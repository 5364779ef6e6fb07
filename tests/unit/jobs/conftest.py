"""Engines to test: processes here, and a Ray cluster of two nodes."""

from __future__ import annotations

import pytest

from sumlctl.jobs.executors import Executor, Local


@pytest.fixture(scope="module", params=["local", "ray"])
def executor(request) -> Executor:
    if request.param == "local":
        yield Local(2)
        return
    from sumlctl.jobs.ray import cluster

    with cluster(request.getfixturevalue("ray_cluster")) as found:
        yield found
