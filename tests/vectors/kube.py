# SPDX-License-Identifier: Apache-2.0
"""Records what a real kube-apiserver answers about the same nodes in its two encodings: tests/vectors/kube/*.{json,protobuf}.

    PYTHONPATH=tests python -m harness run vectors/kube.py

list: three nodes, one of them leaving, one without addresses; watch: each kind of event; gone: a 410 within a watch; refused: a 403's body.
Both encodings of a pair are of the same moment, so tests/unit/kube/test_protobuf.c expects the same of both.
"""
import pathlib
import time

from harness.kube import TOKENS, Cluster

HERE = pathlib.Path(__file__).resolve().parent / "kube"
TYPES = {"json": "application/json", "protobuf": "application/vnd.kubernetes.protobuf"}
WATCH = "/api/v1/nodes?watch=1&allowWatchBookmarks=true&timeoutSeconds=3&resourceVersion="


def answer(cluster, path, kind, token="admin"):
    connection = cluster._connect()
    connection.request("GET", path, headers={"Authorization": f"Bearer {TOKENS[token]}", "Accept": TYPES[kind], "User-Agent": "nodewall-harness"})
    body = connection.getresponse().read()
    connection.close()
    return body


def main():
    HERE.mkdir(exist_ok=True)
    with Cluster() as cluster:
        cluster.create_node("lke1-a", ["192.168.1.2", ("ExternalIP", "203.0.113.7"), ("InternalIP", "fd00::2"), ("Hostname", "lke1-a")], {"pool": "web"})
        cluster.create_node("lke1-b")
        cluster.create_node("lke1-c", ["192.168.1.4"])
        cluster.patch_node("lke1-c", {"metadata": {"finalizers": ["example.com/hold"]}})
        cluster.delete_node("lke1-c")
        for kind in TYPES:
            (HERE / f"list.{kind}").write_bytes(answer(cluster, "/api/v1/nodes", kind))
            (HERE / f"page.{kind}").write_bytes(answer(cluster, "/api/v1/nodes?limit=1", kind))
            (HERE / f"refused.{kind}").write_bytes(answer(cluster, "/api/v1/nodes", kind, "stranger"))
        since = cluster.resource_version()
        cluster.create_node("lke1-d", ["192.168.1.5"])
        cluster.set_addresses("lke1-d", ["192.168.1.6"])
        cluster.delete_node("lke1-d")
        time.sleep(1)
        for kind in TYPES:                # the bookmark comes as the server ends the watch
            (HERE / f"watch.{kind}").write_bytes(answer(cluster, WATCH + since, kind))
        cluster.expire_history()
        for kind in TYPES:
            (HERE / f"gone.{kind}").write_bytes(answer(cluster, WATCH + "1", kind))


if __name__ == "__main__":
    main()
