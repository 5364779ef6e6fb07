"""What holds of units of work on every engine: done once, whole or not at all, faults told."""

from __future__ import annotations

import itertools
import json

import pytest

from sumlctl.errors import SumlError, WriteError
from sumlctl.jobs.executors import Limits
from sumlctl.jobs.units import Done, Failed, Unit, Work, fingerprint
from tests.unit.jobs.doings import Doing, file_of, meet, square

LIMITS = Limits(deadline_s=20.0, memory_mb=500)


@pytest.fixture
def notes(tmp_path):
    path = tmp_path / "notes"
    path.touch()
    return path


@pytest.fixture
def work(tmp_path):
    return Work(tmp_path / "units")


def unit(number, notes, how="well", facts="as before"):
    doing = Doing(number, notes, how)
    files = (file_of(doing),) if how == "writes" else ()
    return Unit(f"{number:03d}", doing, fingerprint(facts, number), files)


def asked(notes):
    return sorted(map(int, notes.read_text().split()))


def do(work, executor, units, limits=LIMITS, **options):
    return {found.unit.name: found for found in work.do(square, units, executor, limits, **options)}


def test_every_unit_is_done_once_and_a_second_time_nothing_is(executor, work, notes):
    units = [unit(number, notes) for number in range(7)]
    first = do(work, executor, units)
    assert [first[f"{n:03d}"].result for n in range(7)] == [
        {"square": n * n, "third": n / 3, "pair": [1, 2]} for n in range(7)
    ]
    assert not any(found.earlier for found in first.values())
    again = do(work, executor, units)
    assert asked(notes) == [*range(7)]
    assert all(found.earlier for found in again.values())
    assert [found.result for found in again.values()] == [first[name].result for name in again]


def test_what_was_interrupted_goes_on_where_it_stopped(executor, work, notes):
    units = [unit(number, notes) for number in range(12)]
    results = work.do(square, units, executor, LIMITS)
    seen = [found.unit.name for found in itertools.islice(results, 3)]
    results.close()
    found = do(work, executor, units)
    assert len(found) == 12
    assert all(found[name].earlier for name in seen)
    done_before = [name for name, one in found.items() if one.earlier]
    assert all(asked(notes).count(int(name)) == 1 for name in done_before)


def test_a_receipt_holds_only_for_what_it_stands_on(executor, work, notes):
    do(work, executor, [unit(1, notes), unit(2, notes)])
    found = do(work, executor, [unit(1, notes, facts="other"), unit(2, notes)])
    assert [found[name].earlier for name in ("001", "002")] == [False, True]
    assert asked(notes) == [1, 1, 2]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b"\xff\xfe", b'{"stands_on": 3, "result": 4}', b"null"]
)
def test_a_receipt_that_is_damaged_counts_for_nothing(work, notes, content, executor):
    do(work, executor, [unit(1, notes)])
    (work.folder / "001.json").write_bytes(content)
    assert do(work, executor, [unit(1, notes)])["001"].result["square"] == 1
    assert asked(notes) == [1, 1]


def test_a_file_that_is_gone_or_cut_is_made_again(executor, work, notes):
    units = [unit(number, notes, "writes") for number in (10, 11, 12)]
    do(work, executor, units)
    units[0].files[0].unlink()
    units[1].files[0].write_text("1")
    found = do(work, executor, units)
    assert [found[f"0{n}"].earlier for n in (10, 11, 12)] == [False, False, True]
    assert [one.files[0].read_text() for one in units] == ["100", "121", "144"]


def test_a_fault_stops_no_other_unit_and_its_reason_is_kept(executor, work, notes):
    units = [unit(1, notes), unit(2, notes, "raises"), unit(3, notes, "told"), unit(4, notes)]
    found = do(work, executor, units)
    assert [type(found[f"00{n}"]) for n in (1, 2, 3, 4)] == [Done, Failed, Failed, Done]
    assert found["002"].reasons == ("ValueError: no square of 2",)
    error = found["003"].as_error("x", "done")
    assert isinstance(error, SumlError)
    assert str(error) == "number: is odd, got 3; expected even. Add one."
    assert asked(notes) == [1, 2, 3, 4]  # a fault of the data would only come again
    kept = json.loads((work.folder / "002.failed.json").read_text())
    assert kept["reasons"] == ["ValueError: no square of 2"]


def test_only_failed_leaves_the_rest(executor, work, notes):
    do(work, executor, [unit(1, notes), unit(2, notes, "raises")])
    mended = [unit(1, notes), unit(2, notes), unit(3, notes)]
    found = do(work, executor, mended, only_failed=True)
    assert [(name, one.earlier) for name, one in found.items()] == [("001", True), ("002", False)]
    assert not (work.folder / "002.failed.json").exists()
    assert do(work, executor, mended)["003"].result["square"] == 9


def test_a_unit_that_costs_its_process_is_tried_again(executor, work, notes):
    found = do(work, executor, [unit(1, notes, "aborts once"), unit(2, notes, "aborts")])
    assert found["001"].result["square"] == 1
    assert found["002"].reasons == ("worker died, signal 6 (Aborted)",) * 2
    assert asked(notes) == [1, 1, 2, 2]


def test_a_unit_that_hangs_is_given_up(executor, work, notes):
    limits = Limits(deadline_s=1.0, attempts=1)
    found = do(work, executor, [unit(1, notes, "hangs"), unit(2, notes)], limits)
    assert found["001"].reasons == ("no answer within 1 s of processor time",)
    assert found["002"].result["square"] == 4


def test_a_full_disk_ends_the_work_with_one_error(executor, work, notes):
    with pytest.raises(WriteError, match="never: the disk is full, got errno 28"):
        do(work, executor, [unit(n, notes, "full") for n in range(3)])


def test_what_is_forgotten_is_done_again(executor, work, notes):
    units = [unit(1, notes), unit(2, notes, "raises")]
    do(work, executor, units)
    work.forget(units[:1])
    assert sorted(path.name for path in work.folder.iterdir()) == ["002.failed.json"]
    do(work, executor, units)
    assert asked(notes) == [1, 1, 2, 2]
    work.forget()
    assert not work.folder.exists()


def test_several_processes_are_at_it_together(executor, tmp_path):
    pids = {pid for _, pid in executor.run(meet, [tmp_path] * 2, Limits(60.0))}
    assert len(pids) == 2


def test_settings_stand_for_the_same_however_they_are_written():
    assert fingerprint({"a": 1, "b": (1, 2)}) == fingerprint({"b": [1, 2], "a": 1})
    assert fingerprint(1) != fingerprint("1") != fingerprint(1.5)
