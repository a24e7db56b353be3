# SPDX-License-Identifier: Apache-2.0
"""For all pytest layers: the results as they come, for `./dev test` to add up even when a run dies half way."""
import json
import os

import pytest

_RESULTS = os.environ.get("NODEWALL_RESULTS")


def _note(test, outcome, detail=""):
    if _RESULTS:
        with open(_RESULTS, "a", encoding="utf-8") as handle:
            handle.write(json.dumps({"test": test, "outcome": outcome, "detail": detail}) + "\n")


def pytest_runtest_logreport(report):
    if report.when != "call" and report.outcome == "passed":
        return
    detail = ""
    if report.outcome == "skipped":
        detail = getattr(report, "wasxfail", None) or (report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr))
    elif report.outcome == "failed":
        crash = getattr(report.longrepr, "reprcrash", None)
        detail = crash.message if crash else str(report.longrepr)[-300:]
    _note(report.nodeid, report.outcome, detail.removeprefix("Skipped: "))


def pytest_collectreport(report):
    if report.outcome == "failed":
        _note(report.nodeid or "collection", "failed", str(report.longrepr)[-300:])
    elif report.outcome == "skipped":
        _note(report.nodeid, "skipped", report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    """A test that was collected and neither reported nor deselected is lost: the exit code alone would not say which."""
    if exitstatus in (2, 3):
        _note("the session", "failed", f"pytest was interrupted (exit code {int(exitstatus)})")
