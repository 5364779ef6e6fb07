"""Plans, against costs worked by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sumlctl.mining.cost import GPUS, Gpu, Sizes, Speed, duration, exact, inverted, measure, plan

SPEED = Speed(exact=1e10, lists=1e10, proof_s=1e-6, disk=1e9)
MILLION = Sizes(10**6, 10**6, 384)


def test_exact_by_hand() -> None:
    cost = exact(MILLION, SPEED)
    assert cost.multiply_adds == 384e12
    assert cost.disk == 2 * 384 * 4 * 1e6 + 17e6
    # 384e12 / 1e10, one proof for each query, and 3.1 GB at 1 GB/s
    assert cost.seconds == pytest.approx(38_400 + 1 + 3.089)
    assert cost.gpu_memory == 0


def test_a_gpu_by_hand() -> None:
    gpu = Gpu("of tomorrow", tflops=40, bandwidth=1000, memory=80)
    cost = exact(MILLION, SPEED, gpu)
    # 1e13 multiply-adds and 5e11 bytes a second are reached
    assert cost.seconds == pytest.approx(38.4 + 8e12 / 5e11 + 1 + 3.089)
    assert cost.gpu_memory == 384 * 4 * 1e6 + 1.5 * 2**30


def test_exact_grows_with_both_sides_and_ivf_more_slowly() -> None:
    large = replace(MILLION, base=4 * 10**6, queries=4 * 10**6)
    assert exact(large, SPEED).multiply_adds == 16 * exact(MILLION, SPEED).multiply_adds
    ratio = inverted(large, SPEED).multiply_adds / inverted(MILLION, SPEED).multiply_adds
    assert 4 < ratio < 16


def test_memory_stays_far_below_the_vectors() -> None:
    sizes = Sizes(10**8, 10**8)
    for cost in (exact(sizes, SPEED), inverted(sizes, SPEED)):
        assert cost.memory < 0.35 * 10**8 * 384 * 4
        assert cost.disk > 2 * 10**8 * 384 * 4


def test_advice() -> None:
    told = plan(Sizes(1000, 1000), SPEED)
    assert told["index"] == "exact"
    assert told["why"] == "exact takes 0.042 s on these processors, and proves every pair"
    assert plan(MILLION, SPEED)["index"] == "ivf"
    few = plan(Sizes(100, 10**9), SPEED)  # finding lists would cost more than comparing
    assert (few["index"], "ivf would take" in few["why"]) == ("exact", True)
    assert {cost["where"] for cost in told["costs"]} == {
        "these processors",
        *(f"one {gpu.name}" for gpu in GPUS),
    }


def test_measuring_gives_a_speed() -> None:
    speed = measure(16)
    assert all(value > 0 for value in vars(speed).values())


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.25, "0.25 s"), (59, "59 s"), (90, "1.5 min"), (7200, "2.0 h"), (864_000, "10.0 days")],
)
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said
