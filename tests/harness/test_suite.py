# SPDX-License-Identifier: Apache-2.0
"""The sum that `./dev test` ends with: what must count as failed does, and nothing is lost on the way."""
import json

import pytest

from harness import suite


def outcomes(text):
    return [outcome for _, outcome, _ in suite.read_tap("t", text)]


def test_tap_counts_every_subtest():
    assert outcomes("1..3\nok 1 - a\nnot ok 2 - b\nok 3 - c # SKIP no such thing\n# talk\n") == ["passed", "failed", "skipped"]


def test_tap_failure_says_what_was_wrong():
    text = "1..2\nnot ok 1 - a\n# 0x1 != 0x2\n# t.c:7: error: Failure!\nok 2 - b\n# talk\n"
    assert suite.read_tap("t", text) == [("t: a", "failed", "0x1 != 0x2 t.c:7: error: Failure!"), ("t: b", "passed", "")]


def test_tap_skip_has_its_reason():
    assert suite.read_tap("t", "1..0 # SKIP spin is not installed\n") == [("t", "skipped", "spin is not installed")]
    assert suite.read_tap("t", "1..1\nok 1 - a # SKIP no such thing\n")[0][2].strip() == "no such thing"


@pytest.mark.parametrize("text", ["", "ok 1 - a\n", "1..3\nok 1 - a\nok 2 - b\n", "1..1\nBail out! no memory\n"])
def test_tap_that_ends_early_is_a_failure(text):
    assert "failed" in outcomes(text)


def test_tap_plan_may_come_last_and_titles_may_hold_anything():
    assert outcomes("ok 1 - not ok # of 3\nok\n1..2\n") == ["passed", "passed"]


def test_the_worst_phase_of_a_test_counts():
    lines = [{"test": "a", "outcome": "passed", "detail": ""}, {"test": "a", "outcome": "failed", "detail": "at teardown"},
             {"test": "b", "outcome": "passed", "detail": ""}, {"test": "c", "outcome": "skipped", "detail": "why"}]
    found = suite.read_results("".join(json.dumps(line) + "\n" for line in lines))
    assert found == {"a": ("failed", "at teardown"), "b": ("passed", ""), "c": ("skipped", "why")}


def layer(tmp_path, monkeypatch, source):
    """What `./dev test` makes of a layer that has this one file."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="ascii")
    (tmp_path / "conftest.py").write_text((suite.TESTS / "conftest.py").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "test_it.py").write_text(source, encoding="ascii")
    monkeypatch.setattr(suite, "TESTS", tmp_path)
    tally = suite.Tally()
    suite.pytest_layer(tally, "it", ["."])
    return tally


def test_a_layer_that_is_killed_keeps_what_it_had_and_fails(tmp_path, monkeypatch):
    tally = layer(tmp_path, monkeypatch, "import os\ndef test_a(): pass\ndef test_b(): os.kill(os.getpid(), 9)\ndef test_c(): pass\n")
    assert tally.line() == "1 passed, 1 failed, 0 skipped"
    assert "SIGKILL" in tally[-1].detail


def test_a_file_that_does_not_import_is_a_failure(tmp_path, monkeypatch):
    assert layer(tmp_path, monkeypatch, "import nothing_of_that_name\n").line() == "0 passed, 1 failed, 0 skipped"


def test_skips_are_counted_with_their_reasons(tmp_path, monkeypatch):
    tally = layer(tmp_path, monkeypatch, "import pytest\ndef test_a(): pytest.skip('no nft here')\ndef test_b(): pass\n"
                  "@pytest.mark.xfail(reason='known')\ndef test_c(): assert False\n")
    assert tally.line() == "1 passed, 0 failed, 2 skipped"
    assert {case.detail for case in tally if case.outcome == "skipped"} == {"no nft here", "known"}


def test_a_path_without_tests_is_no_success(tmp_path, monkeypatch, capsys):
    tally = layer(tmp_path, monkeypatch, "")
    assert suite.report(tally) == 1
    assert capsys.readouterr().out.rstrip().split("\n")[-1] == tally.line()


@pytest.mark.parametrize("passed, failed, skipped, code", [(1, 0, 0, 0), (1, 0, 1, 0), (1, 1, 0, 1), (0, 0, 0, 1), (0, 0, 2, 1)])
def test_the_last_line_and_the_exit_code(capsys, passed, failed, skipped, code):
    tally = suite.Tally()
    for outcome, number in (("passed", passed), ("failed", failed), ("skipped", skipped)):
        for index in range(number):
            tally.add("unit", f"{outcome} {index}", outcome)
    assert suite.report(tally) == code
    assert capsys.readouterr().out.rstrip().split("\n")[-1] == f"{passed} passed, {failed} failed, {skipped} skipped"


def test_a_layer_that_raises_is_a_failure():
    tally = suite.Tally()
    suite.attempt(tally, "model", lambda _: 1 / 0)
    assert tally.line() == "0 passed, 1 failed, 0 skipped"


def test_words_are_sorted_into_layers_paths_and_options():
    layers, paths, options = suite.sort_out(["unit", "tests/e2e/test_nodes.py::test_a", "-k", "joins"])
    assert layers == ["unit"] and options == ["-k", "joins"] and [word for _, word in paths] == ["e2e/test_nodes.py::test_a"]
    for wrong in ("nonsense", "/etc/passwd"):
        with pytest.raises(ValueError):
            suite.sort_out([wrong])
