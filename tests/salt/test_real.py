# SPDX-License-Identifier: Apache-2.0
"""With a real salt-master and real minions in every line of Salt, and the snippet as it is shipped; only the engine is played by the test.

What is looked at here is what needs both: that nothing has to be synced by hand, who gets a job, and what a minion does without its master.
"""
import json
import pathlib
import time

import pytest
from box import PORT, VERSIONS, Cluster, Worker, prod, rule
from harness import process, saltbed
from masterdir import MasterDir

TOKEN = "0123456789abcdef" * 2
SOON = 15


class Bed:
    def __init__(self, version, wire, directory):
        self.where, self.db = (wire.attach(f"{name}-{version}") for name in ("master", "db"))
        self.nodewall = MasterDir(directory / "nodewall")
        self.nodewall.configure({"prod": {}})
        self.master = saltbed.Master(version, namespace=self.where)
        self.master.write_config("zz-nodewall", self.nodewall.snippet)
        self.pillar({"rules": prod()})

    def __enter__(self):
        self.master.start()
        self.db.salt = self.master.minion("db", self.db)
        return self

    def __exit__(self, *_):
        self.master.stop()

    def pillar(self, ours):
        (self.master.pillar_root / "db.sls").write_text("#!json\n" + json.dumps({"nodewall": ours}), encoding="utf-8")
        (self.master.pillar_root / "top.sls").write_text("base: {db: [db]}\n", encoding="utf-8")

    def jobs(self, mark):
        return [event.data for event in self.master.bus.events("salt/job/*/new", mark) if event.data["fun"] == "nodewall.update"]

    def kernel(self):
        text = self.db.nft("-j", "list", "table", "inet", "nodewall", check=False)
        sets = {item["set"]["name"]: item["set"] for item in json.loads(text)["nftables"] if "set" in item} if text else {}
        return {element["elem"]["val"] for kind in ("v4", "v6") for element in sets.get(f"cluster-prod-{kind}", {}).get("elem", [])}


@pytest.mark.parametrize("version", VERSIONS)
def test_from_a_fresh_minion_to_one_without_a_master(wire, tmp_path, version):
    with Bed(version, wire, tmp_path) as bed:
        cluster = Cluster(addresses=["203.0.113.1", "2001:db8::1"])
        bed.nodewall.publish(cluster)

        # Nothing was synced; one state.apply does it all.
        found = bed.master.cmd("db", "state.apply", "nodewall", full=True, timeout=60)["db"]
        assert found["retcode"] == 0, json.dumps(found)
        assert bed.kernel() == set(cluster.members) and f"dport {PORT}" in bed.db.nft("list", "table", "inet", "nodewall")
        assert bed.nodewall.index() == ["db"], "who names the cluster"
        ran = [name.split("_|-")[1] for name, _ in sorted(found["ret"].items(), key=lambda item: item[1]["__run_num__"])]
        assert ran[-1] == "nodewall-restore-unit", f"after what makes the unit's script: {ran}"
        folder = pathlib.Path(bed.db.salt.directory)
        assert f"ExecStart=/bin/sh {folder}/nodewall/restore\n" in (folder / "units" / "nodewall-restore.service").read_text(encoding="ascii")

        # An announcement reaches who is noted, whatever it says itself.
        bed.nodewall.announce(cluster.change(add=["203.0.113.2"], remove=["203.0.113.1"]), {TOKEN: None})
        mark, publisher = bed.master.bus.mark(), bed.master.publisher()
        bed.nodewall.note("ghost")
        publisher.fire("nodewall/prod/addresses", {"token": "0" * 32, "added": ["6.6.6.6"]})
        publisher.fire("nodewall/prod/addresses", {"token": TOKEN, "added": ["6.6.6.6"], "minions": ["ghost"]})
        process.wait_until(lambda: bed.kernel() == set(cluster.members), SOON, "the delta to be applied")
        job, = bed.jobs(mark)
        assert job["tgt"] == ["db", "ghost"] and job["tgt_type"] == "list" and TOKEN not in json.dumps(job)
        done = bed.master.bus.wait("salt/job/*/ret/db", SOON, mark, where=lambda event: event.data["fun"] == "nodewall.update")
        assert done.data["return"]["result"] == "applied" and done.data["return"]["generation"] == 2

        # By the module, with pillar from the master; a rule just typed wrong costs one sentence.
        assert bed.db.salt.cmd("nodewall.apply")["result"] == "have"

        # The mine: what a minion says of itself, asked from the real one.
        bed.db.salt.cmd("mine.send", "network.ip_addrs")
        bed.pillar({"rules": {**prod(), "self": rule({"minions": "L@db", "within": "10.77.0.0/24"}, port=99)}})
        done = bed.master.cmd("db", "nodewall.apply", confirm=30)["db"]
        assert done["changes"]["rules"]["self"]["added"] == {bed.db.address: "minions/db"}, "confirmed: the real master greets on a new connection"

        bed.pillar({"rules": {"postgres": rule({"kubernetes": "prdo"})}})
        done = bed.master.cmd("db", "nodewall.apply", full=True)["db"]
        assert done["retcode"] != 0 and "there is no cluster 'prdo'; this master has: prod" in done["ret"]["comment"]
        assert bed.kernel() == set(cluster.members)
        assert bed.master.cmd("db", "test.ping") == {"db": True} and bed.db.salt.cmd("state.single", "test.nop", "x"), "and nothing else"

        log = bed.master.log_text()
        assert log.count("there is no program nodewall") == 1 and "Traceback" not in log, log[-2000:]
        without_a_master(bed, cluster, version, tmp_path)


def without_a_master(bed, cluster, version, tmp_path):
    """What is applied stays, the answer comes soon, and the lock isn't held for ever; the disk alone rebuilds it."""
    config = pathlib.Path(bed.db.salt.confdir) / "minion"
    bed.db.salt.kill()
    bed.master.kill()
    worker = Worker(version, bed.db, tmp_path / "worker.log")
    try:
        for fun, arg in (("nodewall.update", ["prod"]), ("nodewall.apply", [])):
            begun = time.monotonic()
            done = worker.ask("call", minion=str(config), fun=fun, arg=arg, kwarg={}, patch={"MASTER_TIMEOUT": 1})["value"]
            assert time.monotonic() - begun < 15, "soon"
            said = " ".join([done["comment"], *done.get("warnings", [])])
            assert "the master" in said and "Traceback" not in said
            assert bed.kernel() == set(cluster.members)
        bed.db.nft("flush", "ruleset")
        bed.db.run("/bin/sh", str(pathlib.Path(bed.db.salt.directory) / "nodewall" / "restore"))
        assert bed.kernel() == set(cluster.members), "as at a boot"
        bed.db.nft("flush", "ruleset")
        assert worker.ask("call", minion=str(config), fun="nodewall.restore", arg=[], kwarg={})["value"]["result"] == "applied"
        assert bed.kernel() == set(cluster.members)
    finally:
        worker.close()
