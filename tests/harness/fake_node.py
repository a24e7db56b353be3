# SPDX-License-Identifier: Apache-2.0
"""Node objects and their history, as a kube-apiserver keeps them: the memory behind fake_kube.py.

Why: the faults that a test wants on demand need a server that we hold in our hands, and that server needs state that behaves
like etcd: one growing resourceVersion, events in its order, a window of history that can be cut off, snapshots for pages.

Invariant: every change takes the next resourceVersion, is in the history before anybody is woken, and history is never
reordered. All access goes through `Nodes.lock`; objects are replaced, never changed in place, so that a reader may keep one.
Deliberately not here: HTTP (fake_kube.py), validation of what a test writes, anything but Nodes.
"""
import copy
import threading
import time
import uuid

HISTORY = 1000      # events kept; kube-apiserver's watch cache holds 100 to 102400, by load
SNAPSHOTS = 16      # lists that may still be paged through


class Expired(Exception):
    """The resourceVersion or page token is older than what is kept: the API's 410."""


class Conflict(Exception):
    """The name exists already: the API's 409."""


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def typed(addresses):
    """[{type, address}] from a list of addresses, of (type, address) pairs, or of such objects. A bare one is an InternalIP."""
    pairs = []
    for item in addresses:
        if isinstance(item, dict):
            pairs.append(dict(item))
        elif isinstance(item, str):
            pairs.append({"type": "InternalIP", "address": item})
        else:
            pairs.append({"type": item[0], "address": item[1]})
    return pairs


def condition(kind, status, reason, message):
    stamp = now()
    return {"type": kind, "status": status, "lastHeartbeatTime": stamp, "lastTransitionTime": stamp, "reason": reason, "message": message}


def build_node(name, addresses, labels=None):
    """A Node as a kubelet and a cloud controller leave it: about 9 kB, of which the addresses are the smallest part."""
    pairs = typed(addresses)
    if not any(pair["type"] == "Hostname" for pair in pairs):
        pairs.append({"type": "Hostname", "address": name})
    size = {"cpu": "4", "ephemeral-storage": "164766592Ki", "hugepages-2Mi": "0", "memory": "8144396Ki", "pods": "110"}
    fields = {f"f:{part}": {"f:status": {}, "f:type": {}} for part in ("addresses", "conditions", "images", "nodeInfo", "capacity")}
    images = [{"names": [f"registry.example/app-{n}@sha256:{'%064x' % (n * 7919)}", f"registry.example/app-{n}:v1.{n}"], "sizeBytes": 40000000 + n}
              for n in range(24)]
    return {
        "kind": "Node", "apiVersion": "v1",
        "metadata": {
            "name": name, "uid": str(uuid.uuid4()), "resourceVersion": "0", "creationTimestamp": now(),
            "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", **(labels or {})},
            "annotations": {"node.alpha.kubernetes.io/ttl": "0", "volumes.kubernetes.io/controller-managed-attach-detach": "true"},
            "managedFields": [{"manager": who, "operation": "Update", "apiVersion": "v1", "time": now(), "fieldsType": "FieldsV1",
                               "fieldsV1": {"f:metadata": {"f:labels": {".": {}}}, "f:status": fields}, "subresource": "status"}
                              for who in ("kubelet", "cloud-controller-manager")]},
        "spec": {"podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24"], "providerID": f"example://{name}"},
        "status": {
            "capacity": size, "allocatable": dict(size),
            "conditions": [condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
                           condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
                           condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
                           condition("Ready", "True", "KubeletReady", "kubelet is posting ready status")],
            "addresses": pairs, "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "nodeInfo": {"machineID": uuid.uuid4().hex, "systemUUID": str(uuid.uuid4()), "bootID": str(uuid.uuid4()),
                         "kernelVersion": "6.1.0-40-amd64", "osImage": "Debian GNU/Linux 12 (bookworm)", "containerRuntimeVersion": "containerd://1.7.28",
                         "kubeletVersion": "v1.34.4", "kubeProxyVersion": "", "operatingSystem": "linux", "architecture": "amd64"},
            "images": images}}


def matches(node, selector):
    """A label selector of the equality kind: `a=b`, `a==b`, `a!=b`, `a`, `!a`, joined by commas."""
    labels = node["metadata"].get("labels", {})
    for term in filter(None, (part.strip() for part in (selector or "").split(","))):
        if "!=" in term:
            key, value = term.split("!=", 1)
            good = labels.get(key) != value
        elif "=" in term:
            key, value = term.split("=", 1)
            good = labels.get(key) == value.lstrip("=")
        else:
            good = (term[1:] not in labels) if term.startswith("!") else term in labels
        if not good:
            return False
    return True


class Nodes:
    """The Nodes of one cluster with their history. Thread safe; `changed` wakes every waiter after each change."""

    def __init__(self, first_rv=1000):
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.rv = first_rv
        self.floor = first_rv           # the oldest resourceVersion that a new watch can start from
        self.kept = first_rv            # the oldest one that history still goes on from
        self.by_name = {}
        self.history = []               # (rv, node before or None, node after or None, the object that a watcher gets)
        self.snapshots = {}             # rv -> nodes in order of their names, for the pages of a list

    def _commit(self, before, after):
        self.rv += 1
        carrier = after if after is not None else copy.deepcopy(before)
        carrier["metadata"]["resourceVersion"] = str(self.rv)   # a DELETED carries the version of the deletion
        self.history.append((self.rv, before, after, carrier))
        if len(self.history) > HISTORY:
            self.kept = self.history[-HISTORY - 1][0]
            self.floor = max(self.floor, self.kept)
            del self.history[:-HISTORY]
        self.changed.notify_all()
        return carrier

    def create(self, node):
        with self.lock:
            name = node["metadata"]["name"]
            if name in self.by_name:
                raise Conflict(name)
            self.by_name[name] = node
            return self._commit(None, node)

    def change(self, name, edit):
        """Replaces the node by what `edit(copy)` leaves of a copy. KeyError if there is none of that name."""
        with self.lock:
            before = self.by_name[name]
            after = copy.deepcopy(before)
            edit(after)
            self.by_name[name] = after
            return self._commit(before, after)

    def delete(self, name):
        with self.lock:
            return self._commit(self.by_name.pop(name), None)

    def forget(self):
        """What a compaction does: a new watch or page from anything older than now gets a 410. Open watches go on."""
        with self.lock:
            self.rv += 1
            self.floor, self.snapshots = self.rv, {}

    def list(self, selector=None):
        """(rv, nodes in order of their names) at this moment, kept for pages."""
        with self.lock:
            nodes = [self.by_name[name] for name in sorted(self.by_name) if matches(self.by_name[name], selector)]
            self.snapshots[self.rv, selector] = nodes
            while len(self.snapshots) > SNAPSHOTS:
                self.snapshots.pop(next(iter(self.snapshots)))
            return self.rv, nodes

    def page(self, rv, selector):
        with self.lock:
            if (rv, selector) not in self.snapshots:
                raise Expired(rv)
            return self.snapshots[rv, selector]

    def since(self, rv, selector=None, opening=True):
        """(up to which version, [(type, node)]): what a watcher with this selector has to hear after `rv`. Expired if that is too old."""
        with self.lock:
            if rv < (self.floor if opening else self.kept):
                raise Expired(rv)
            events = []
            for _, before, after, carrier in self.history[self._index(rv):]:
                had = before is not None and matches(before, selector)
                has = after is not None and matches(after, selector)
                if had or has:
                    events.append(("MODIFIED" if had and has else "ADDED" if has else "DELETED", carrier))
            return max(self.rv, rv), events

    def _index(self, rv):
        low, high = 0, len(self.history)
        while low < high:
            middle = (low + high) // 2
            if self.history[middle][0] <= rv:
                low = middle + 1
            else:
                high = middle
        return low
