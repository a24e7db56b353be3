#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the C store writes, read by the Python that reads it: the minion's sets, the master's reactor and ext_pillar.

Salt itself isn't needed: the readers' own modules are loaded from the tree, with a stand-in for the one Salt function
that they import and don't need here. Prints TAP. Usage: readers.py WRITER (see writer.c)
"""
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import traceback
import types

TREE = pathlib.Path(__file__).resolve().parents[3]
CLUSTER = "prod-1.eu"
CASES = []


def case(function):
    CASES.append(function)
    return function


def load(name, path, **names):
    module = types.ModuleType(name)
    module.__dict__.update(names, __file__=str(path), __package__=name.rpartition(".")[0])
    exec(compile(path.read_text(), str(path), "exec"), module.__dict__)
    return module


def no_yaml(_text):
    raise AssertionError("no configuration file is read here")


def prepare():
    """(sets, pillar, vectors) loaded without Salt."""
    for name in ("salt", "salt.utils", "salt.utils.yaml"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["salt"].utils = sys.modules["salt.utils"]
    sys.modules["salt.utils"].yaml = sys.modules["salt.utils.yaml"]
    sys.modules["salt.utils.yaml"].safe_load = no_yaml
    return (load("sets", TREE / "states/_modules/nodewall/sets.py"), load("pillar", TREE / "states/_pillar/nodewall.py"),
            load("vectors", TREE / "tests/vectors/digest.py"))


sets, pillar, vectors = prepare()


class Store:
    """A writer and its directory."""

    def __init__(self):
        self._temporary = tempfile.TemporaryDirectory(prefix="nodewall-readers.")
        self.path = pathlib.Path(self._temporary.name) / "state"
        self.child = subprocess.Popen([sys.argv[1], str(self.path), CLUSTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.stdin.close()
        code = self.child.wait(20)
        self.child.stdout.close()
        self._temporary.cleanup()
        assert code == 0, f"the writer ended with {code}"

    def ask(self, *words):
        self.child.stdin.write(" ".join(words) + "\n")
        self.child.stdin.flush()
        return json.loads(self.child.stdout.readline())

    def public(self):
        """(Version, members) as a minion gets them."""
        return sets.parse((self.path / "files/nodewall" / (CLUSTER + ".json")).read_bytes(), CLUSTER)

    def announced(self):
        return json.loads((self.path / "announce" / (CLUSTER + ".json")).read_bytes())

    def react(self, token, tag=f"nodewall/{CLUSTER}/addresses", **more):
        reactor = load("reactor", TREE / "reactor/nodewall.sls", __opts__={"nodewall_state_dir": str(self.path)}, tag=tag,
                       data={"token": token, **more})
        return reactor.run()

    def job(self, token):
        """(targets, kwarg) of the one job."""
        state, = self.react(token).values()
        (function, arguments), = state.items()
        words = {key: value for argument in arguments for key, value in argument.items()}
        assert function == "local.nodewall.update" and words["tgt_type"] == "list", state
        return words["tgt"], words["kwarg"]

    def note(self, *minions):
        assert not pillar._note(str(self.path), [CLUSTER], minions[0])
        for minion in minions[1:]:
            assert not pillar._note(str(self.path), [CLUSTER], minion)


@case
def digests_of_the_vectors():
    """digest.json is what its maker makes, and Python's digests are those (C's are held to it by test_store.c)."""
    cases = json.loads((TREE / "tests/vectors/digest.json").read_text())
    assert {one["name"]: one["addresses"] for one in cases} == vectors.CASES
    for one in cases:
        assert vectors.digest(one["addresses"]) == one["digest"], one["name"]
        assert sets.digest({sets.record(address) for address in one["addresses"]}) == one["digest"], one["name"]


@case
def each_set_is_accepted():
    every = ["203.0.113.7", "203.0.113.0/28", "0.0.0.0/0", "255.255.255.255", "2001:db8::1", "2001:db8::/32", "::/0", "::ffff:198.51.100.9",
             "64:ff9b::203.0.113.7", "::203.0.113.7", "fe80::1:0:0:1", "2001:0:0:1::1"]
    with Store() as store:
        for n in range(len(every), -1, -1):
            told = store.ask("set", *every[:n])
            version, members = store.public()
            assert set(members) == {sets.record(address) for address in every[:n]}
            assert set(members.values()) <= {"node.example"}
            assert (version.epoch, version.generation, version.digest) == (told["epoch"], told["generation"], told["digest"])
            assert version.generation == len(every) - n + 1 and version.count == n
            assert version.digest == vectors.digest(every[:n])
            assert version == sets.version(store.announced())
            # One canonical text on both sides: what Python would write is what C wrote.
            assert json.loads((store.path / "files/nodewall" / (CLUSTER + ".json")).read_bytes())["addresses"] == sets.pairs(members)


@case
def chains_lead_from_any_version_to_the_newest():
    """64 deltas reach back 64 generations: whoever is within folds its set to the newest, whoever is not fetches."""
    dice, pool = random.Random(4505), [f"10.0.{n // 8}.{n}" for n in range(40)] + [f"2001:db8::{n:x}" for n in range(1, 20)]
    with Store() as store:
        past = []
        for step in range(100):
            store.ask("set", *dice.sample(pool, dice.randrange(len(pool))))
            past.append(store.public())
            if step == 50:
                assert store.ask("reopen")["outcome"] == 0
            if step % 9 and step != 99:
                continue
            deltas = [sets.delta(item) for item in store.announced()["deltas"]]
            newest, members = past[-1]
            for version, before in past[:-1]:
                chain = sets.continuing(deltas, version)
                assert bool(chain) == (newest.generation - version.generation <= 64), (version, len(deltas))
                added, removed = sets.fold(chain)
                if chain:
                    assert removed <= set(before) and (set(before) - removed) | set(added) == set(members)
                    assert chain[-1].digest == newest.digest and chain[-1].rv == newest.rv


@case
def a_lost_generation_is_newer_and_fetched():
    """The newest copy is damaged after it was announced: a minion that has it must take what comes next, as a whole."""
    with Store() as store:
        for last in ("203.0.113.1", "203.0.113.2", "203.0.113.3"):
            store.ask("set", "203.0.113.200", last)
        held, _ = store.public()
        truth = store.path / "store" / (CLUSTER + ".json")
        truth.write_bytes(truth.read_bytes()[:-9])
        assert store.ask("reopen")["outcome"] == 2
        assert sets.order(held, store.public()[0]) == sets.OLDER    # no minion goes back
        store.ask("set", "203.0.113.200", "203.0.113.4")
        version, _ = store.public()
        assert sets.order(held, version) == sets.NEWER
        assert sets.continuing([sets.delta(item) for item in store.announced()["deltas"]], held) == []


@case
def the_reactor_finds_whom_and_what():
    with Store() as store:
        told = store.ask("set", "203.0.113.7")
        assert store.react(told["token"]) == {}                     # nobody names the cluster
        store.note("db2", "db1", "caf\u00e9 \"x\"")
        told = store.ask("set", "203.0.113.7", "203.0.113.8")
        targets, kwarg = store.job(told["token"])
        assert targets == ["caf\u00e9 \"x\"", "db1", "db2"]
        assert kwarg["cluster"] == CLUSTER and sets.version(kwarg["have"]) == store.public()[0]
        assert [sorted(map(sets.text, sets.delta(item).added)) for item in kwarg["deltas"]] == [["203.0.113.8"]]

        repair = store.ask("repair", "db1", pillar.encode("caf\u00e9 \"x\""), "gone")
        assert store.job(repair["token"])[0] == ["caf\u00e9 \"x\"", "db1"]
        assert store.job(told["token"])[0] == ["caf\u00e9 \"x\"", "db1", "db2"]
        for token in ("0" * 32, told["token"][:-1], told["token"].upper() + "x", "", None, 7):
            assert store.react(token) == {}, token
        assert store.react(told["token"], __peer_id="other") == {}
        assert store.react(told["token"], tag="nodewall/other/addresses") == {}
        # Tokens are of one process: nothing that was said before a restart is obeyed after it.
        store.ask("reopen")
        assert store.react(told["token"]) == {}
        assert store.job(store.ask("set", "203.0.113.9")["token"])[0] == targets


@case
def a_job_carries_two_hundred_addresses_at_most():
    with Store() as store:
        store.note("db1")
        store.ask("set", "203.0.113.7")
        few = store.ask("set", "203.0.113.7", *(f"10.0.0.{n}" for n in range(200)))
        assert [len(item["added"]) for item in store.job(few["token"])[1]["deltas"]] == [200]
        many = store.ask("set", *(f"10.0.1.{n}" for n in range(250)))
        assert store.job(many["token"])[1]["deltas"] == []


@case
def ids_have_one_file_name():
    """ext_pillar makes the entries, the engine reads and removes them, the reactor reads them."""
    ids = ["db1", "web-1.example.com", "a b", ".hidden", "..", "a.b", "%41", "100%", "caf\u00e9", "\u65e5\u672c", "a/b", "x\ny", "~", "'\"\\", "A" * 253]
    with Store() as store:
        reactor = load("reactor", TREE / "reactor/nodewall.sls")
        for minion in ids:
            name = store.ask("encode", minion.encode().hex())
            assert name == pillar.encode(minion), minion
            assert reactor._decode(name) == minion
        store.note(*ids)
        # What nobody's id encodes to is no entry, for either reader.
        for stray in (".swp", "%2f", "%41", "a%", "b c", "%FF"):
            (store.path / "minions" / CLUSTER / stray).touch()
        assert store.ask("roster") == sorted(ids, key=str.encode)
        assert reactor._index(str(store.path), CLUSTER) == sorted(ids)


def main():
    print(f"1..{len(CASES)}")
    failed = False
    for number, function in enumerate(CASES, 1):
        try:
            function()
            print(f"ok {number} - {function.__name__}", flush=True)
        except Exception:   # one line of TAP for whatever went wrong
            failed = True
            print("\n".join("# " + line for line in traceback.format_exc().splitlines()))
            print(f"not ok {number} - {function.__name__}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
