# SPDX-License-Identifier: Apache-2.0
"""The master's side in every line of Salt: the snippet in master.d, the external pillar, the reactor."""
import json

import pytest
from box import VERSIONS, Cluster, prod, rule
from harness import nodewall
from masterdir import MasterDir

TOKEN, REPAIR = "0123456789abcdef" * 2, "f" * 32
OURS = {"module_dirs": str(nodewall.STATES), "engines": "nodewall"}


@pytest.fixture(params=VERSIONS)
def salt(request, workers):
    return workers(request.param)


@pytest.fixture
def master(tmp_path):
    return MasterDir(tmp_path / "m")


# --- the snippet ---

def test_it_joins_what_other_files_have(salt, tmp_path):
    """Lists of all files in master.d are joined, in the order of their names."""
    others = {"00-local.conf": {"file_roots": {"base": ["/srv/mine"], "dev": ["/srv/dev"]}, "module_dirs": ["/srv/modules"], "engines": ["http_logstash"],
                                "ext_pillar": [{"cmd_yaml": "cat x"}], "reactor": [{"salt/auth": ["/srv/reactor/auth.sls"]}]},
              "zzz-later.conf": {"ext_pillar": [{"cmd_json": "cat y"}]}}
    master = MasterDir(tmp_path / "m", more=others)
    opts = salt.ask("options", master=str(master.path))
    assert opts["module_dirs"] == ["/srv/modules", str(nodewall.STATES)]
    assert opts["file_roots"]["dev"] == ["/srv/dev"] and opts["file_roots"]["base"][0] == "/srv/mine"
    assert opts["file_roots"]["base"][-2:] == [str(nodewall.STATES), str(master.state / "files")]
    assert opts["engines"] == ["http_logstash", "nodewall"]
    assert opts["ext_pillar"] == [{"cmd_yaml": "cat x"}, {"nodewall": str(master.config)}, {"cmd_json": "cat y"}]
    assert [list(item) for item in opts["reactor"]] == [["salt/auth"], ["nodewall/*/addresses"]]
    assert opts["displaced"] == [] and opts["engine_file"] == str(nodewall.STATES / "_engines" / "nodewall.py")


def test_it_displaces_what_the_masters_own_file_has_and_says_so(salt, tmp_path):
    """A key in any file of master.d replaces the same key of /etc/salt/master: Salt's way, not ours."""
    own = {"file_roots": {"base": ["/srv/mine"], "dev": ["/srv/dev"]}, "ext_pillar": [{"cmd_yaml": "cat x"}], "reactor": [{"salt/auth": ["/srv/auth.sls"]}],
           "engines": ["http_logstash"], "module_dirs": ["/srv/modules"]}
    master = MasterDir(tmp_path / "m", own=own)
    opts = salt.ask("options", master=str(master.path))
    assert opts["ext_pillar"] == [{"nodewall": str(master.config)}] and "dev" not in opts["file_roots"]
    said = "\n".join(opts["displaced"])
    assert len(opts["displaced"]) == 5
    for key, lost in (("file_roots", "/srv/mine"), ("file_roots", "/srv/dev"), ("ext_pillar", "cmd_yaml"), ("reactor", "salt/auth"), ("engines", "http_logstash"),
                      ("module_dirs", "/srv/modules")):
        assert any(f" sets {key}," in line and lost in line for line in opts["displaced"]), said


def test_engines_as_a_mapping_are_replaced(salt, tmp_path):
    """A list and a mapping don't join; the later file wins. So the one who has a mapping adds a line to it instead."""
    master = MasterDir(tmp_path / "m", more={"00-local.conf": {"engines": {"http_logstash": {}}}})
    assert salt.ask("options", master=str(master.path))["engines"] == ["nodewall"]
    master = MasterDir(tmp_path / "n", own={"engines": {"http_logstash": {}}})
    assert any(" sets engines," in line for line in salt.ask("options", master=str(master.path))["displaced"])


# --- the external pillar ---

def compiled(salt, master, minion_id="db1"):
    found = salt.ask("pillar", master=str(master.path), minion_id=minion_id)
    assert not any(line.startswith(("ERROR", "CRITICAL")) for line in found["said"]), found["said"]
    assert "_errors" not in found["value"], found["value"]
    return found["value"]


def test_what_it_adds(salt, master):
    master.configure({"prod": {}, "lab": {}})
    master.publish(Cluster(addresses=["203.0.113.1"]))
    master.pillar({"nodewall": {"rules": prod()}, "else": 1})
    found = compiled(salt, master)
    assert found["nodewall"] == {"rules": prod(), "clusters": {"prod": {"synced": True}, "lab": {"synced": False}}}
    assert found["else"] == 1
    assert found["schedule"] == {"nodewall": {"function": "nodewall.apply", "minutes": 30, "splay": 300, "run_on_start": True, "maxrunning": 1}}
    assert master.index() == ["db1"] and master.index("lab") == []
    assert "203.0.113.1" not in json.dumps(found), "rules, never sets"


def test_who_has_no_rules_gets_nothing(salt, master):
    for pillar in ({}, {"else": 1}, {"nodewall": {}}, {"nodewall": {"rules": {}}}):
        master.pillar(pillar)
        assert compiled(salt, master) == pillar
    assert not (master.state / "minions").exists()


def test_clusters_are_known_from_configuration_directory_and_store(salt, master):
    folder = master.directory / "clusters.d"
    folder.mkdir()
    (folder / "edge.kubeconfig").touch()
    (folder / "Not_A_Name.kubeconfig").touch()
    master.configure({"prod": {}}, clusters_dir=str(folder))
    master.publish(Cluster("stored", ["203.0.113.1"]))
    master.pillar({"nodewall": {"rules": {"a": rule("kubernetes:edge", {"kubernetes": "stored"}, {"kubernetes": "typo"})}}})
    ours = compiled(salt, master)["nodewall"]
    assert ours["errors"] == ["rule a: there is no cluster 'typo'; this master has: edge, prod, stored"]
    assert master.index("typo") == [], "a name that is made of a grain is the minion's own, and it may have many"
    assert sorted(ours["clusters"]) == ["edge", "prod", "stored"]
    assert master.index("edge") == master.index("stored") == ["db1"]


@pytest.mark.parametrize("ours", [7, "x", ["a"], {"rules": 7}, {"rules": ["a"]}, {"rules": {"a": None}}, {"rules": {"a": {"from": 7}}}, {"rules": {"a": {"from": [None, [], {}]}}},
                                  {"rules": {"a": {"from": [{"kubernetes": ["prod"]}]}}}, {"rules": {"a": {"from": [{"kubernetes": "../../etc"}]}}},
                                  {"rules": {"a": {"from": "kubernetes:a/b"}}}, {"rules": {"a": {"from": [{"kubernetes": "x" * 300}]}}}, {"rules": prod(), "schedule": "daily"},
                                  {"rules": prod(), "schedule": {"minutes": -1}}])
def test_it_never_raises(workers, master, ours):
    """Whatever stands there: the pillar compiles, other states go on, and nothing is made outside of the index."""
    master.configure({"prod": {}})
    master.pillar({"nodewall": ours, "else": 1})
    found = compiled(workers(VERSIONS[-1]), master)
    assert found["else"] == 1
    made = sorted(str(path.relative_to(master.state)) for path in master.state.rglob("*"))
    assert made in ([], ["minions", "minions/prod", "minions/prod/db1"])


@pytest.mark.parametrize("trouble", ["no configuration", "bad configuration", "state is a file", "strange schedule"])
def test_trouble_on_the_master_is_a_warning(salt, master, trouble):
    master.configure({"prod": {}})
    pillar = {"nodewall": {"rules": prod()}}
    if trouble == "no configuration":
        master.config.unlink()
        (master.directory / "elsewhere").mkdir()
        master.path.write_text(master.path.read_text(encoding="utf-8") + f"\nnodewall_state_dir: {master.directory}/elsewhere\n", encoding="utf-8")
    elif trouble == "bad configuration":
        master.config.write_text("clusters: [", encoding="utf-8")
        master.path.write_text(master.path.read_text(encoding="utf-8") + f"\nnodewall_state_dir: {master.state}\n", encoding="utf-8")
    elif trouble == "state is a file":
        master.state.rmdir()
        master.state.touch()
    else:
        pillar["schedule"] = ["x"]
    master.pillar(pillar)
    ours = compiled(salt, master)["nodewall"]
    if trouble != "strange schedule":
        assert len(ours["warnings"]) == 1 and "the master can't" in ours["warnings"][0]
    assert "errors" not in ours, "the cluster may well be known: no reason to refuse the rules"


IDS = {"db1": "db1", "web.example.org": "web.example.org", "a/../b": "a%2F..%2Fb", ".hidden": "%2Ehidden", "..": "%2E.", "x%41y": "x%2541y", "a b": "a%20b", "ü": "%C3%BC"}


def test_ids_are_encoded_and_come_back(salt, master):
    master.configure({"prod": {}})
    master.pillar({"nodewall": {"rules": prod()}})
    for minion_id in IDS:
        compiled(salt, master, minion_id)
    assert master.index() == sorted(IDS.values())
    master.announce(Cluster(addresses=["203.0.113.1"]), {TOKEN: None})
    found = react(salt, master, {"token": TOKEN})
    assert found["jobs"][0]["tgt"] == sorted(IDS)


def test_the_index_is_for_the_masters_user_alone(salt, master):
    """Also when the pillar comes before the engine has made its directory, under whatever umask."""
    master.state.rmdir()
    master.configure({"prod": {}})
    master.pillar({"nodewall": {"rules": prod()}})
    compiled(salt, master)
    for path in (master.state, master.state / "minions", master.state / "minions" / "prod"):
        assert path.stat().st_mode & 0o027 == 0, path


def test_the_schedule_can_be_changed(salt, master):
    master.configure({"prod": {}})
    for schedule, expected in (({"hours": 2}, {"hours": 2, "splay": 300}), ({"splay": 5}, {"minutes": 30, "splay": 5}), (False, None)):
        master.pillar({"nodewall": {"rules": prod(), "schedule": schedule}, "schedule": {"mine": {"function": "test.ping", "hours": 1}}})
        jobs = compiled(salt, master)["schedule"]
        assert jobs.pop("mine")["function"] == "test.ping"
        assert jobs == ({"nodewall": {"function": "nodewall.apply", "run_on_start": True, "maxrunning": 1, **expected}} if expected else {})
    master.pillar({"nodewall": {"rules": prod()}, "schedule": {"nodewall": {"function": "test.ping", "hours": 1}}})
    assert compiled(salt, master)["schedule"]["nodewall"]["function"] == "test.ping", "theirs stays"


@pytest.mark.parametrize("strategy", ["smart", "recurse", "aggregate", "overwrite", "none"])
def test_no_merging_strategy_loses_the_rules(workers, tmp_path, strategy):
    salt = workers(VERSIONS[-1])
    master = MasterDir(tmp_path / "m", own={"pillar_source_merging_strategy": strategy, "pillar_merge_lists": True})
    master.configure({"prod": {}})
    master.pillar({"nodewall": {"rules": prod()}, "schedule": {"mine": {"function": "test.ping", "hours": 1}}})
    found = compiled(salt, master)
    assert found["nodewall"]["rules"] == prod() and found["nodewall"]["clusters"] == {"prod": {"synced": False}}
    assert sorted(found["schedule"]) == ["mine", "nodewall"]


# --- the reactor ---

def react(salt, master, data, tag="nodewall/prod/addresses"):
    found = salt.ask("react", master=str(master.path), tag=tag, data=data)
    assert not any(line.startswith(("ERROR", "CRITICAL")) for line in found["said"]), found["said"]
    return found


@pytest.fixture
def announced(master):
    """Two announcements, one for everybody and one for db1 and one that isn't concerned; the cluster's index has three minions."""
    cluster = Cluster(addresses=["203.0.113.1"]).change(add=["203.0.113.2"])
    master.announce(cluster, {TOKEN: None, REPAIR: ["db1", "stranger"]})
    master.note("db1", "db2", "web%2F1", "%41", "a b", ".tmp", "%00", "ok~")
    master.note("other", cluster="lab")
    return cluster


def test_a_token_reaches_exactly_those_who_name_the_cluster(salt, master, announced):
    found = react(salt, master, {"token": TOKEN, "added": ["6.6.6.6"], "minions": ["other"], "cluster": "lab", "generation": 99})
    job, = found["jobs"]
    assert job["tgt"] == ["db1", "db2", "web/1"] and job["tgt_type"] == "list" and job["fun"] == "nodewall.update"
    assert job["kwarg"] == {"cluster": "prod", "have": announced.header(), "deltas": announced.deltas, "splay": 0}, "all from the store, nothing from the event"
    assert not job.get("arg")


def test_a_repair_reaches_its_minions_alone(salt, master, announced):
    job, = react(salt, master, {"token": REPAIR})["jobs"]
    assert job["tgt"] == ["db1"]


def test_other_tokens_do_nothing(salt, master, announced):
    for data in ({}, {"token": None}, {"token": ""}, {"token": "0" * 32}, {"token": TOKEN.upper()}, {"token": TOKEN + "0"}, {"token": TOKEN[:-1]}, {"token": [TOKEN]},
                 {"token": {"a": 1}}, {"token": 1}, {"token": TOKEN, "__peer_id": "m2"}, {"token": "é" * 32}, {"token": TOKEN + "\n"}):
        assert react(salt, master, data)["jobs"] == [], data
    assert react(salt, master, {"token": TOKEN})["jobs"], "and this one still does"


def test_a_flood_of_events_is_no_flood_in_the_log(salt, master, announced):
    said = [line for number in range(50) for line in react(salt, master, {"token": f"{number:032x}"})["said"]]
    assert len(said) <= 1, said


def test_other_tags_do_nothing(salt, master, announced):
    for tag in ("nodewall/../addresses", "nodewall/PROD/addresses", "nodewall/prod/x/addresses", "nodewall//addresses", "nodewall/prod/addresses/",
                "nodewall/prod/addresses\n", "nodewall/lab/addresses", "nodewall/{{1}}/addresses"):
        assert react(salt, master, {"token": TOKEN}, tag)["jobs"] == [], tag
    for tag in ("nodewall/prod/health", "nodewall/prod/node/a/added", "salt/auth"):
        assert react(salt, master, {"token": TOKEN}, tag)["reactors"] == [], f"the reactor isn't even asked about {tag}"


def test_a_broken_announcement_does_nothing(salt, master, announced):
    for text in ("", "[]", "{}", "null", '{"v": 1, "cluster": "prod"}', '{"v": 1, "cluster": "lab", "tokens": []}', '{"v":1,"cluster":"prod","tokens":[7]}', "\x00"):
        (master.state / "announce" / "prod.json").write_text(text, encoding="utf-8")
        assert react(salt, master, {"token": TOKEN})["jobs"] == [], text
    (master.state / "announce" / "prod.json").unlink()
    assert react(salt, master, {"token": TOKEN})["jobs"] == []


def test_long_chains_are_cut_to_200_addresses(salt, master):
    cluster = Cluster()
    for number in range(9):
        cluster.change(add=[f"10.0.{number}.{host}" for host in range(30)])
    master.announce(cluster, {TOKEN: None})
    master.note("db1")
    job, = react(salt, master, {"token": TOKEN})["jobs"]
    assert job["kwarg"]["deltas"] == cluster.deltas[-6:]
    cluster.change(add=[f"10.1.0.{host}" for host in range(201)])
    master.announce(cluster, {TOKEN: None})
    job, = react(salt, master, {"token": TOKEN})["jobs"]
    assert job["kwarg"]["deltas"] == [] and job["kwarg"]["have"] == cluster.header()


def test_many_minions_spread_their_fetches(salt, master, announced):
    master.note(*(f"m{number}" for number in range(500)))
    job, = react(salt, master, {"token": TOKEN})["jobs"]
    assert len(job["tgt"]) == 503 and job["kwarg"]["splay"] == 10
