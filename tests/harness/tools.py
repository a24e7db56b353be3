# SPDX-License-Identifier: Apache-2.0
"""`./dev fuzz` and `./dev lint`: the tools that look at the code without being its tests. Standard library only."""
import subprocess
import tempfile

from . import cache, suite, venvs

FUZZ = suite.ROOT / "build" / "fuzz"
RUFF = "ruff>=0.6,<1"
# What ruff judges: mistakes (E9, F), likely bugs (B). Not style: the comments say why, and lines may have 160 characters in tests.
RULES = "E9,F,B"
SALTS = '["__opts__", "__salt__", "__pillar__", "__grains__", "__context__", "__env__"]'       # what Salt's loader puts there


def fuzz(*words):
    """Each harness (or the one named) for so many seconds, from its seeds; what it finds stays in build/fuzz."""
    seconds = next((word for word in words if word.isdigit()), "60")
    wanted = [word for word in words if not word.isdigit()]
    programs = [path for path in sorted((FUZZ / "tests" / "fuzz").glob("fuzz_*")) if path.is_file() and path.suffix == ""]
    chosen = [path for path in programs if not wanted or path.name.removeprefix("fuzz_") in wanted]
    if not chosen:
        cache.say(f"no such harness; there are: {' '.join(path.name.removeprefix('fuzz_') for path in programs) or 'none'}")
        return 2
    failed = []
    for program in chosen:
        name = program.name.removeprefix("fuzz_")
        found = FUZZ / "found" / name
        found.mkdir(parents=True, exist_ok=True)
        seeds = [path for path in (suite.TESTS / "fuzz" / name, suite.TESTS / "fuzz" / "corpus" / name) if path.is_dir()]
        if suite.run([program, f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1",
                      f"-artifact_prefix={found}/crash-", found, *seeds]):
            failed.append(name)
    cache.say(f"failed: {' '.join(failed)} (see {FUZZ / 'found'})" if failed else f"{len(chosen)} harnesses found nothing")
    return 1 if failed else 0


def _warnings():
    """A whole build with every warning an error, in a directory of its own."""
    with tempfile.TemporaryDirectory(prefix="nodewall-lint-") as directory:
        if suite.run(["meson", "setup", directory, "-Dbuildtype=debug", "-Dwerror=true"], cwd=suite.ROOT, stdout=subprocess.DEVNULL):
            return False
        return suite.run(["ninja", "-k", "0", "-C", directory], cwd=suite.ROOT) == 0


def _shell():
    scripts = [suite.ROOT / "dev", suite.ROOT / ".ci" / "run"]
    return suite.run(["shellcheck", *scripts]) == 0


def _python():
    ruff = venvs.make("ruff", "ruff", [RUFF]) / "bin" / "ruff"
    return suite.run([ruff, "check", "--quiet", "--no-cache", "--isolated", "--select", RULES, "--ignore", "B904,B905", "--config", f"builtins={SALTS}",
                      suite.TESTS, suite.ROOT / "states"]) == 0


def _format():
    """clang-format, as advice: where it would write something differently. It never objects."""
    sources = [path for top in ("engine", "include", "tests") for path in sorted((suite.ROOT / top).rglob("*.[ch]"))]
    lines, files = 0, 0
    for path in sources:
        done = subprocess.run(["clang-format", "--style=file", str(path)], capture_output=True, text=True, check=False, cwd=suite.ROOT)
        differing = len(set(done.stdout.splitlines()) - set(path.read_text(encoding="utf-8").splitlines()))
        lines, files = lines + differing, files + (differing > 0)
    cache.say(f"advice: clang-format would write {lines} lines of {files} files differently (clang-format --style=file FILE | diff FILE -)")
    return True


def lint():
    """Everything once; exit code 1 if one of them objects. clang-format never does."""
    results = {"compiler": _warnings(), "shellcheck": _shell(), "python": _python(), "format": _format()}
    for name, good in results.items():
        cache.say(f"{name}: {'good' if good else 'OBJECTS'}")
    return 0 if all(results.values()) else 1
