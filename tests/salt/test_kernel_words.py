# SPDX-License-Identifier: Apache-2.0
"""What the kernel says of our table is somebody else's word: a container with CAP_NET_ADMIN on the host's network writes comments of any
bytes, and what we read goes into the next script, which root's nft runs. `include` would print a file's lines as errors."""
import hashlib
import importlib
import sys
import types

import pytest
from harness import nodewall

EVIL = 'x" }\ninclude "/etc/shadow"\n#'
DIGEST = "ab" * 32


@pytest.fixture(name="kernel", scope="module")
def _kernel():
    package = types.ModuleType("nodewall_on_a_minion")
    package.__path__ = [str(nodewall.STATES / "_modules" / "nodewall")]
    sys.modules[package.__name__] = package
    return importlib.import_module(package.__name__ + ".kernel")


def element(value, comment):
    return {"elem": {"val": value, "comment": comment}}


def marker(kernel, cluster, epoch, generation, rv):
    name = hashlib.sha256(f"{cluster} {epoch} {generation}".encode()).digest()[:16]
    key = [kernel._ipv6(part) for part in (name, bytes.fromhex(DIGEST)[:16], bytes.fromhex(DIGEST)[16:])]   # pylint: disable=protected-access
    return element({"concat": key}, f"{cluster} {epoch} {generation} {rv}")


def table(kernel, *sets):
    return kernel.Table([{"set": {"name": name, "elem": list(elements)}} for name, elements in sets])


@pytest.mark.parametrize("comment", ["prod " + EVIL, "prod a " + EVIL, EVIL, "prod a 2026-01-02T03:04:05Z" + EVIL, "prod", ""])
def test_a_members_comment(kernel, comment):
    found = table(kernel, ("cluster-prod-v4", [element("203.0.113.7", comment)]))
    script = kernel.whole({"prod": (None, found.members["prod"])}, [])
    assert script.count("\"") == 2
    line, = [line for line in script.splitlines() if "203.0.113.7" in line]
    assert line.count('"') == 2 and line.endswith('"')


@pytest.mark.parametrize(("epoch", "generation", "rv"), [('x"};include"/etc/shadow";#', 5, "1"), ("0123456789abcdef", 5, '1"};include"/etc/shadow";#'),
                                                         ("0123456789abcdef", -5, "1"), ("0123456789abcdef", 1 << 60, "1")])
def test_a_markers_comment(kernel, epoch, generation, rv):
    good = marker(kernel, "lab", "0123456789abcdef", 5, "17")
    found = table(kernel, ("applied", [marker(kernel, "prod", epoch, generation, rv), good]))
    assert list(found.markers) == ["lab"] and found.markers["lab"].rv == "17"


def test_a_sets_name(kernel):
    found = table(kernel, ("cluster-x\ninclude \"/etc/shadow\"\n-v4", []), ("cluster-prod-v4", []))
    assert found.sets == ["cluster-prod-v4"] and "include" not in kernel.sets_only({}, found)
