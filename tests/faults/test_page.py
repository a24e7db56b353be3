# SPDX-License-Identifier: Apache-2.0
"""../FAULTS.md: all 33 cases stand in it, and every test that it names exists."""
import pathlib
import re

TESTS = pathlib.Path(__file__).resolve().parents[1]
ROWS = [line.split(" | ") for line in (TESTS / "FAULTS.md").read_text(encoding="utf-8").splitlines() if re.match(r"\| \d", line)]
LAYERS = "unit|faults|e2e"


def test_all_cases():
    assert [int(row[0].strip("| ")) for row in ROWS] == list(range(1, 34))
    assert [row[0] for row in ROWS if not any(re.search(rf"(replay|{LAYERS})/|not used", cell) for cell in row[2:])] == []


def named(text):
    """(file, test, parameter) of `layer/file` and the words in backquotes that follow it."""
    for found in re.finditer(rf"(?:{LAYERS})/[a-z0-9_/]+((?:,? `[^`]+`)*)", text):
        file = found[0].split()[0].rstrip(",")
        for test in re.findall(r"`([^`]+)`", found[1]) or [""]:
            name, _, parameter = test.rstrip("]").partition("[")
            yield file, name.rstrip("*"), parameter


def test_every_test_exists():
    wrong = []
    for row in ROWS:
        for names in re.findall(r"replay/([a-z0-9-]+(?:, [a-z0-9-]+)*)", row[2]):
            wrong += [f"replay/{name}" for name in names.split(", ") if not (TESTS / "replay" / name / "expect.jsonl").exists()]
        for file, name, parameter in named(" | ".join(row)):
            sources = [path for path in (TESTS / f"{file}.py", TESTS / f"{file}.c") if path.exists()]
            text = sources[0].read_text(encoding="utf-8") if sources else ""
            if not text or name not in text or (parameter and f'"{parameter}"' not in text):
                wrong.append(f"{file} {name} {parameter}")
    assert wrong == []
