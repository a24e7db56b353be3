#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The rules of the house that a machine can hold: layers, sizes, banned calls, licence lines.

Each rule is first tried on a sample that must break it: a check that cannot fail is worth nothing. Prints TAP.
Usage: house.py [ROOT]
"""
import pathlib
import re
import sys

# Who may include whose header. `pure` modules get bytes, values and `now`; they reach no loop, socket, clock or log.
LAYERS = {
    "base": {"base"},
    "config": {"base", "config"},
    "http": {"base", "http"},
    "kube": {"base", "http", "kube", "config"},
    "kube_pure": {"base", "kube_pure"},
    "inventory": {"base", "inventory", "kube_pure"},
    "policy": {"base", "inventory", "policy"},
    "store": {"base", "inventory", "policy", "store"},
    "bus": {"base", "bus"},
    "monitor": {"base", "bus", "monitor"},
    "status": {"base", "status"},
}
HEADER_HOME = {
    "base": "base", "log": "base", "address": "base", "set": "base", "json": "base",
    "config": "config", "kubeconfig": "config", "exec_plugin": "config", "http": "http", "kube_client": "kube",
    "watch": "kube_pure", "frame": "kube_pure", "decode": "kube_pure", "backoff": "kube_pure",
    "inventory": "inventory", "policy": "policy", "store": "store", "roster": "store",
    "bus": "bus", "event": "bus", "pack": "bus", "outbox": "bus", "minion": "bus", "followup": "bus", "monitor": "monitor",
    "status": "status",
}
KUBE_PURE = {"backoff", "decode", "frame", "protobuf", "prune", "watch"}         # the noun of a file: watch.c, watch_list.c, …
PURE_BANS = re.compile(r'#include\s+["<](uv|curl/|zmq|msgpack|nodewall/log|time\.h|sys/socket|unistd)|\bclock_(now|wall)\s*\(')
PURE = {"kube_pure", "inventory", "policy", "monitor"}

BANNED = {
    r"\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|atof)\s*\(": "has no length or no error; use snprintf, strtoul with checks",
    r"\b(system|popen|tmpnam|mktemp)\s*\(": "runs a shell or races",
    r"\b(sleep|usleep)\s*\(": "nothing here waits; ask the loop for a timer",
    r"\balloca\s*\(": "stack by outside numbers",
}
MOST_LINES = 500


def layer_of(path):
    """The layer of a .c or .h below engine/, or None for main, engine.c and cmd/ (they may see everything)."""
    parts = path.parts
    if parts[0] != "engine" or len(parts) < 3 or parts[1] == "cmd":
        return None
    if parts[1] == "kube":
        return "kube_pure" if path.stem.split("_")[0] in KUBE_PURE else "kube"
    return parts[1]


def check_layers(path, text):
    layer = layer_of(path)
    if layer is None:
        return
    for header in re.findall(r'#include\s+"nodewall/(\w+)\.h"', text):
        home = HEADER_HOME.get(header)
        if home is None:
            yield f"{path}: include/nodewall/{header}.h has no place in tests/check/house.py (HEADER_HOME)"
        elif home not in LAYERS.get(layer, ()):
            yield f"{path}: {layer} may not use {home} (nodewall/{header}.h)"
    if layer in PURE:
        for match in PURE_BANS.finditer(text):
            yield f"{path}: {layer} is pure, and this is not: {match.group(0)}"


def without_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\])*\"", " ", text, flags=re.S)


def check_banned(path, text):
    if path.suffix not in (".c", ".h"):
        return
    code = without_comments(text)
    for pattern, why in BANNED.items():
        for match in re.finditer(pattern, code):
            yield f"{path}: {match.group(1)}() {why}"


def check_size(path, text):
    lines = text.count("\n")
    if lines > MOST_LINES:
        yield f"{path}: {lines} lines, more than {MOST_LINES}: is it still one idea?"


def check_licence(path, text):
    if "SPDX-License-Identifier: Apache-2.0" not in "\n".join(text.split("\n", 3)[:3]):
        yield f"{path}: no SPDX-License-Identifier line at its head"


def check_head(path, text):
    """A .c file says at its head what it is and why, and that comment ends before the code begins."""
    if path.suffix == ".c" and path.parts[0] == "engine" and not re.match(r"/\* SPDX[^\n]*\*/\n/\*\n \* \S", text):
        yield f"{path}: no head comment that says what this file is"


RULES = {
    "layers": (check_layers, [("engine/policy/x.c", '#include "nodewall/store.h"'), ("engine/inventory/x.c", "#include <uv.h>"),
                              ("engine/kube/watch.c", "now = clock_now();")]),
    "banned calls": (check_banned, [("engine/x.c", "strcpy (a, b);")]),
    "sizes": (check_size, [("engine/x.c", "\n" * 501)]),
    "licence lines": (check_licence, [("engine/x.c", "int x;\n")]),
    "head comments": (check_head, [("engine/base/x.c", "/* SPDX-License-Identifier: Apache-2.0 */\nint x;\n")]),
}


def sources(root):
    for top in ("engine", "include", "tests", "states", "reactor"):
        for path in sorted((root / top).rglob("*")):
            if path.suffix in (".c", ".h", ".py") and path.is_file() and "__pycache__" not in path.parts:
                yield path.relative_to(root), path.read_text()


def main(root):
    files = list(sources(pathlib.Path(root)))
    print(f"1..{2 * len(RULES)}")
    failed = False
    for number, (name, (rule, samples)) in enumerate(RULES.items()):
        blind = [sample for sample in samples if not list(rule(pathlib.Path(sample[0]), sample[1]))]
        print(f"{'not ok' if blind else 'ok'} {2 * number + 1} - {name}: finds what it is for")
        found = [line for path, text in files for line in rule(path, text)]
        for line in found + [f"blind to {sample}" for sample in blind]:
            print("#", line)
        print(f"{'not ok' if found else 'ok'} {2 * number + 2} - {name}: {len(files)} files")
        failed = failed or blind or found
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2]))
