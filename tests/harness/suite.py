# SPDX-License-Identifier: Apache-2.0
"""`./dev test`: runs the layers and adds up what they say.

    meson layers   unit replay check fuzz model    `meson test` in build/debug (sanitizers), TAP: every subtest counts
    pytest layers  faults harness salt e2e         in the harness's environment, with the engine of build/release

Invariants: the last line is `N passed, N failed, N skipped` over everything; a layer that crashes, doesn't build or loses a test
counts as failed; a run in which nothing passed fails; a skip is counted and its reason shown. What is slow to make (servers, Salt)
is made in the background of the meson layers. Standard library only.
"""
import collections
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

from . import cache, venvs

TESTS = pathlib.Path(__file__).resolve().parents[1]
ROOT = TESTS.parent
PACKAGES = str(TESTS)                                             # where `import harness` finds us
DEBUG = ROOT / "build" / "debug"
MESON_LAYERS = ("check", "unit", "replay", "fuzz", "model")       # what is quick to say no comes first
PYTEST_LAYERS = ("faults", "harness", "salt", "e2e")
SANITIZERS = {"ASAN_OPTIONS": "detect_stack_use_after_return=1:print_summary=1",
              "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}
_OK = re.compile(r"(not )?ok\b[ \t]*\d*[ \t]*(?:- )?(.*?)(?:\s#\s*(SKIP|TODO)\b(.*))?$", re.I)

Case = collections.namedtuple("Case", "layer name outcome detail")         # outcome: passed, failed, skipped


class Tally(list):
    """The Cases of a run."""

    def count(self, outcome):
        return sum(1 for case in self if case.outcome == outcome)

    def add(self, layer, name, outcome, detail=""):
        self.append(Case(layer, name, outcome, " ".join(detail.split())))

    def line(self):
        return f"{self.count('passed')} passed, {self.count('failed')} failed, {self.count('skipped')} skipped"


def run(command, **options):
    """Runs a command, its words shown; the exit code."""
    cache.say("+ " + " ".join(map(str, command)))
    return subprocess.run([str(word) for word in command], check=False, **{"stdin": subprocess.DEVNULL, **options}).returncode


# --- meson ---

def read_tap(name, text):
    """[(name, outcome, detail)] of one program's TAP. A missing or short plan is a failure: the program ended early."""
    cases, planned = [], None
    for line in text.splitlines():
        plan = re.match(r"1\.\.(\d+)\s*(?:#\s*SKIP\S*\s*(.*))?$", line, re.I)
        if plan:
            planned = int(plan[1])
            if planned == 0:
                cases.append((name, "skipped", plan[2] or "no reason given"))
        elif line.startswith("#") and cases and cases[-1][1] == "failed":
            cases[-1] = (*cases[-1][:2], f"{cases[-1][2]} {line.lstrip('# ')}".strip())       # what was wrong, as cmocka says it
        elif line.startswith("Bail out!"):
            cases.append((name, "failed", line))
        elif _OK.match(line):
            no, title, word, reason = _OK.match(line).groups()
            outcome = "skipped" if word else "failed" if no else "passed"
            cases.append((f"{name}: {title}", outcome, reason or ""))
    if planned is None or planned > len(cases):
        cases.append((name, "failed", f"ended after {len(cases)} of {'?' if planned is None else planned} tests"))
    return cases


def introspect(what):
    done = subprocess.run(["meson", "introspect", str(DEBUG), f"--{what}"], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def meson_tests():
    """{layer: [test]} as meson knows them."""
    found = collections.defaultdict(list)
    for test in introspect("tests"):
        for suite in test["suite"]:
            found[suite.rpartition(":")[2]].append(test)
    return found


def tests_of_path(path):
    """(layer, names) of the meson tests whose program is built from, or called with, something at or below this path."""
    def inside(text):
        text = os.path.normpath(os.path.join(DEBUG, text))
        return text == str(path) or text.startswith(f"{path}{os.sep}")
    programs = {file for target in introspect("targets") if any(inside(source) for group in target["target_sources"] for source in group.get("sources", []))
                for file in target["filename"]}
    for layer, tests in meson_tests().items():
        names = [test["name"] for test in tests if test["cmd"][0] in programs or any(map(inside, test["cmd"]))]
        if names:
            yield layer, names


def meson_layer(tally, layer, names=None):
    """Runs one layer of `meson test` (or these tests of it)."""
    tests = [test for test in meson_tests().get(layer, []) if names is None or test["name"] in names]
    if not tests:
        return
    log = DEBUG / "meson-logs" / f"testlog-{layer}.json"
    log.unlink(missing_ok=True)
    run(["meson", "test", "-C", DEBUG, "--no-rebuild", "--print-errorlogs", "--timeout-multiplier", "3", "--logbase", f"testlog-{layer}",
         "--suite", layer, *(names or [])], env=dict(os.environ, **SANITIZERS))
    results = collections.defaultdict(list)              # two tests of a layer may have one name
    if log.exists():
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            one = json.loads(line)
            results[one["name"].rpartition(" / ")[2].rpartition(":")[2]].append(one)
    for test in tests:
        name = test["name"]
        if not results[name]:
            tally.add(layer, name, "failed", "it did not run")
            continue
        one = results[name].pop()
        good = one["result"] in ("OK", "SKIP", "EXPECTEDFAIL")
        cases = read_tap(name, one.get("stdout", "")) if test["protocol"] == "tap" else \
            [(name, "skipped" if one["result"] == "SKIP" else "passed" if good else "failed", "")]
        if not good and not any(outcome == "failed" for _, outcome, _ in cases):
            cases.append((name, "failed", f"{one['result']}, exit code {one.get('returncode')}: {one.get('stderr', '')[-300:]}"))
        for case in cases:
            tally.add(layer, *case)


# --- pytest ---

def read_results(text):
    """{test: (outcome, detail)} of the lines that tests/conftest.py writes: the worst of a test's phases counts."""
    rank = {"passed": 0, "skipped": 1, "failed": 2}
    found = {}
    for line in text.splitlines():
        one = json.loads(line)
        if one["test"] not in found or rank[one["outcome"]] > rank[found[one["test"]][0]]:
            found[one["test"]] = (one["outcome"], one["detail"])
    return found


def pytest_layer(tally, layer, words=(), options=()):
    """Runs pytest on a layer's folder or on these words."""
    handle, results = tempfile.mkstemp(prefix="nodewall-results-")
    os.close(handle)
    try:
        code = run([venvs.harness(), "-m", "pytest", "--continue-on-collection-errors", *(words or [layer]), *options], cwd=TESTS,
                   stdin=None if "--pdb" in options else subprocess.DEVNULL,
                   env=dict(os.environ, NODEWALL_RESULTS=results, PYTHONPATH=PACKAGES))
        found = read_results(pathlib.Path(results).read_text(encoding="utf-8"))
    finally:
        os.unlink(results)
    for name, (outcome, detail) in found.items():
        tally.add(layer, name, outcome, detail)
    if code == 5 and not found and not words:
        return                                          # a folder without tests
    if code not in (0, 1) or code and not any(outcome == "failed" for outcome, _ in found.values()):
        tally.add(layer, "pytest", "failed", f"it ended with {code}" if code > 0 else f"killed by {signal.Signals(-code).name}")


class Background:
    """Makes servers and Salt environments beside the tests, in a session of its own, ended with this run."""

    def __init__(self):
        self.process = None

    def start(self, with_servers):
        code = "from harness import servers, venvs; venvs.salts()" + ("; servers.all_paths()" if with_servers else "")
        self.process = subprocess.Popen([sys.executable, "-c", code], cwd=TESTS, stdin=subprocess.DEVNULL, start_new_session=True)

    def wait(self):
        """True when all is there."""
        if self.process.poll() is None:
            cache.say("waiting for what is made once: Salt, etcd, kube-apiserver")
        return self.process.wait() == 0

    def end(self):
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait()


# --- the whole ---

def sort_out(words):
    """(layers, paths, options for pytest) of the command line. Raises ValueError with a sentence."""
    layers, paths, options, rest = [], [], [], list(words)
    while rest:
        word = rest.pop(0)
        if word.startswith("-"):
            options.append(word)
            if word in ("-k", "-m", "-p", "-n", "-o", "--salt", "--deselect") and rest:
                options.append(rest.pop(0))
        elif word.rstrip("/") in MESON_LAYERS + PYTEST_LAYERS:
            layers.append(word.rstrip("/"))
        else:
            file, mark, test = word.partition("::")
            path = next((base / file for base in (pathlib.Path.cwd(), ROOT, TESTS) if (base / file).exists()), None)
            if path is None:
                raise ValueError(f"'{word}' is neither a layer ({' '.join(MESON_LAYERS + PYTEST_LAYERS)}) nor a path")
            path = path.resolve()
            if TESTS not in path.parents:
                raise ValueError(f"{word} is not below tests/")
            if path.parent == TESTS and path.name in MESON_LAYERS + PYTEST_LAYERS and not mark:
                layers.append(path.name)
            else:
                paths.append((path, f"{path.relative_to(TESTS)}{mark}{test}"))
    return layers, paths, options


def plan(words):
    """(the steps of `meson test`, the steps of pytest): callables on a Tally, with the layer's name."""
    layers, paths, options = sort_out(words)
    if not layers and not paths:
        layers = list(MESON_LAYERS) if not options else []
        layers += [layer for layer in PYTEST_LAYERS if (TESTS / layer).is_dir()]
    native = [(layer, lambda tally, layer=layer: meson_layer(tally, layer)) for layer in layers if layer in MESON_LAYERS]
    scripted = [(layer, lambda tally, layer=layer: pytest_layer(tally, layer, options=options)) for layer in layers if layer in PYTEST_LAYERS]
    for path, word in paths:
        layer = path.relative_to(TESTS).parts[0]
        if layer in PYTEST_LAYERS:
            scripted.append((layer, lambda tally, layer=layer, word=word: pytest_layer(tally, layer, [word], options)))
        else:
            def step(tally, path=path):
                for layer, names in list(tests_of_path(path)):
                    meson_layer(tally, layer, names)
            native.append((layer, step))
    return native, scripted


def attempt(tally, layer, step):
    """One step; whatever it raises is a failed layer, not the end of the run."""
    begun, before = time.monotonic(), len(tally)
    try:
        step(tally)
    except Exception as error:                            # counted, and said at the end
        tally.add(layer, "the layer itself", "failed", f"{type(error).__name__}: {error}")
    cache.say(f"{layer}: {Tally(tally[before:]).line()} ({time.monotonic() - begun:.0f} s)")


def build(kind):
    if run([ROOT / "dev", "build", kind]):
        raise RuntimeError(f"the {kind} build failed")


def all_steps(tally, native, scripted, background):
    if scripted:
        background.start({"e2e", "faults"} & set(dict(scripted)))
    if native:
        attempt(tally, "build", lambda _: build("debug"))
        for layer, step in [] if tally.count("failed") else native:
            attempt(tally, layer, step)
    if scripted:
        attempt(tally, "build", lambda _: build("release"))
        if not background.wait():
            tally.add("servers", "Salt, etcd and kube-apiserver", "failed", "they can't be made here: see above")
        for layer, step in scripted:
            attempt(tally, layer, step)


def report(tally):
    """What failed and what was skipped, by reason; then the one line."""
    for case in tally:
        if case.outcome == "failed":
            print(f"FAILED  {case.layer}: {case.name}{': ' if case.detail else ''}{case.detail[:300]}")
    skipped = collections.Counter((case.layer, case.detail or "no reason given") for case in tally if case.outcome == "skipped")
    for (layer, reason), number in skipped.items():
        print(f"SKIPPED {layer}: {number} × {reason[:300]}")
    if not tally.count("passed") and not tally.count("failed"):
        cache.say("nothing ran: that is no success")
    print(tally.line(), flush=True)
    return 0 if tally.count("passed") and not tally.count("failed") else 1


def main(*words):
    try:
        native, scripted = plan(words)
    except ValueError as error:
        cache.say(f"test: {error}")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    tally, background, begun = Tally(), Background(), time.monotonic()
    try:
        all_steps(tally, native, scripted, background)
    finally:
        background.end()
    cache.say(f"{time.monotonic() - begun:.0f} s in all")
    return report(tally)
