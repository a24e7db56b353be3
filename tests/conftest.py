# SPDX-License-Identifier: Apache-2.0
"""For all pytest layers: the results as they come, for `./dev test` to add up even when a run dies half way."""
import json
import os

import pytest
from harness import netns, venvs

_RESULTS = os.environ.get("NODEWALL_RESULTS")


def pytest_addoption(parser):
    parser.addoption("--salt", help=f"Salt releases for e2e and for the transport, with commas between, or 'all' ({', '.join(venvs.SALT_VERSIONS)})")


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


def _why_no_namespaces():
    if os.geteuid() != 0:
        return "network namespaces need root"
    try:
        netns.remove_leftovers()
        netns.Namespace("probe").close()
    except OSError as error:
        return f"no network namespaces here: {error}"
    return None


@pytest.fixture(scope="session")
def namespaces():
    """Skips, with the reason, where no network namespace can be made."""
    why = _why_no_namespaces()
    if why:
        pytest.skip(why)


@pytest.fixture(scope="session")
def salt_at(namespaces):
    """A function that makes a Salt release ready, and is a skip where this machine's Python can't run it."""
    return venvs.salt


def _skip_unusable():
    try:
        return (yield)
    except venvs.Unusable as why:
        pytest.skip(str(why))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup():
    """A Salt release that doesn't run with this Python is a skip, wherever a test meets it."""
    return (yield from _skip_unusable())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call():
    return (yield from _skip_unusable())
