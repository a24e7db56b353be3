# SPDX-License-Identifier: Apache-2.0
"""A real cluster, as far as Nodes go: one etcd and one kube-apiserver with TLS and RBAC, ready in about three seconds.

Users: "admin" (system:masters), "nodewall" (may get, list and watch nodes: what the README tells to set up) and "stranger" (no rights),
each with a bearer token and a client certificate. Nodes are made through the API as a kubelet does; nothing else is in the cluster.

Owns its processes and a temporary directory. All state is lost at stop().
"""
import base64
import contextlib
import http.client
import json
import pathlib
import shutil
import socket
import ssl
import tempfile
import time

import yaml

from . import servers, tls
from .netns import is_v6
from .process import Process, Timeout, wait_until

TOKENS = {"admin": "admin-token", "nodewall": "nodewall-token", "stranger": "stranger-token"}
GROUPS = {"admin": "system:masters"}
ROLE = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "nodewall"},
        "rules": [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]}]}
BINDING = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "nodewall"},
           "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "nodewall"},
           "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "nodewall"},
                        {"kind": "ServiceAccount", "name": "nodewall", "namespace": "default"}]}
RBAC = "/apis/rbac.authorization.k8s.io/v1"


class ApiError(Exception):
    """An answer of the API server that is no success: `code` and the body."""

    def __init__(self, code, body):
        super().__init__(f"{code}: {body[:300]}")
        self.code = code


def node_object(name, addresses, labels=None):
    """A Node as a kubelet registers it. Addresses: a list of texts (InternalIP) or of (type, text)."""
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": dict(labels or {})},
            "status": {"addresses": address_list(addresses), "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady",
                                                                            "message": "", "lastHeartbeatTime": _now(), "lastTransitionTime": _now()}]}}


def address_list(addresses):
    """[{type, address}] of texts or (type, text) pairs."""
    return [{"type": "InternalIP", "address": item} if isinstance(item, str) else {"type": item[0], "address": item[1]} for item in addresses]


def _now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Cluster:
    """etcd and kube-apiserver. `namespace`: a netns.Namespace to run in (default: here); `address`: what the API server listens on."""

    def __init__(self, namespace=None, address=None, directory=None, apiserver_options=(), name="prod"):
        self.namespace, self.name = namespace, name
        self.address = address or (namespace.address if namespace is not None and namespace.address else "127.0.0.1")
        self.directory = pathlib.Path(directory or tempfile.mkdtemp(prefix="nwk-"))
        self._own_directory = directory is None
        self.authority = tls.Authority(self.directory)
        self.options = list(apiserver_options)
        self.certificates = {user: self.authority.client(user, user, GROUPS.get(user)) for user in TOKENS}
        self._server_certificate = self.authority.server("apiserver", ["localhost", "127.0.0.1", "::1", "kubernetes", self.address])
        self._account_key = tls.service_account_key(self.directory / "sa.key")
        (self.directory / "tokens.csv").write_text("".join(
            f'{token},{user},{user},"{GROUPS.get(user, "")}"\n' for user, token in TOKENS.items()), encoding="ascii")
        self.etcd = self.apiserver = None
        self.etcd_port = self.port = 0
        self._context = ssl.create_default_context(cafile=str(self.authority.certificate))
        self._connection = None

    # -- life ---------------------------------------------------------------------------------------------------------

    def start(self):
        """Starts both and waits until the API server says it is ready and the users have their rights."""
        try:
            self.start_etcd()
            self.start_apiserver()
            self.grant()
        except BaseException:
            self.stop()
            raise
        return self

    def _free_port(self, address):
        if self.namespace is not None:
            return self.namespace.free_port(address)
        with socket.socket(socket.AF_INET6 if is_v6(address) else socket.AF_INET) as sock:
            sock.bind((address, 0))
            return sock.getsockname()[1]

    def _socket(self, address, port, timeout=10.0):
        family = socket.AF_INET6 if is_v6(address) else socket.AF_INET
        sock = self.namespace.socket(family) if self.namespace is not None else socket.socket(family)
        sock.settimeout(timeout)
        try:
            sock.connect((address, port))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            sock.close()
            raise
        return sock

    def start_etcd(self):
        """Starts etcd (again, with its data); a port that is taken in the meantime is replaced by another."""
        for attempt in range(3):
            self.etcd_port = self.etcd_port or self._free_port("127.0.0.1")
            client, peer = f"http://127.0.0.1:{self.etcd_port}", f"http://127.0.0.1:{self._free_port('127.0.0.1')}"
            self.etcd = Process([servers.path("etcd"), "--name", "e", "--data-dir", self.directory / "etcd", "--unsafe-no-fsync", "--log-level", "warn",
                                 "--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer,
                                 "--initial-advertise-peer-urls", peer, "--initial-cluster", f"e={peer}"],
                                self.directory / "etcd.log", self.namespace).start()
            try:
                self.etcd.wait(lambda: self._etcd("/health", method="GET", quiet=True), 15, "etcd to be healthy")
                return
            except Timeout:
                self.etcd.stop()
                if attempt == 2 or "address already in use" not in self.etcd.tail():
                    raise
                self.etcd_port = 0

    def start_apiserver(self, wait=True):
        """Starts the API server (again, on the same port)."""
        for attempt in range(3):
            self.port = self.port or self._free_port(self.address)
            self.apiserver = Process(self._apiserver_command(), self.directory / "apiserver.log", self.namespace).start()
            try:
                if wait:
                    self.wait_ready()
                return
            except Timeout:
                if attempt == 2 or "address already in use" not in self.apiserver.tail(100):
                    raise
                self.apiserver.stop()
                self.port = 0

    def _apiserver_command(self):
        certificate, key = self._server_certificate
        return [servers.path("kube-apiserver"), f"--etcd-servers=http://127.0.0.1:{self.etcd_port}", f"--bind-address={self.address}",
                f"--advertise-address={'127.0.0.1' if is_v6(self.address) else self.address}", f"--secure-port={self.port}",
                f"--tls-cert-file={certificate}", f"--tls-private-key-file={key}", f"--client-ca-file={self.authority.certificate}",
                f"--token-auth-file={self.directory / 'tokens.csv'}", "--authorization-mode=RBAC", f"--cert-dir={self.directory}",
                f"--service-account-key-file={self._account_key}", f"--service-account-signing-key-file={self._account_key}",
                "--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=10.96.0.0/24",
                "--endpoint-reconciler-type=none", "--disable-admission-plugins=ServiceAccount", "--shutdown-delay-duration=0s",
                "--profiling=false", *self.options]

    def wait_ready(self, timeout=40):
        """Waits for /readyz."""
        self.apiserver.wait(lambda: self._quietly("/readyz"), timeout, "kube-apiserver to be ready")

    def _quietly(self, path):
        try:
            self.request("GET", path, raw=True)
            return True
        except (OSError, http.client.HTTPException, ApiError):
            return False

    def stop_apiserver(self, kill=False):
        """Stops it; `kill`: with SIGKILL."""
        self._drop()
        if kill:
            self.apiserver.kill()
        else:
            self.apiserver.stop()

    def restart_apiserver(self, kill=False):
        """Stops and starts it on the same port; what etcd has remains."""
        self.stop_apiserver(kill)
        self.start_apiserver()

    def stop(self):
        """Stops everything and removes the directory."""
        self._drop()
        for server in (self.apiserver, self.etcd):
            if server is not None:
                server.kill()
        if self._own_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    # -- the API ------------------------------------------------------------------------------------------------------

    @property
    def url(self):
        return f"https://{'[' + self.address + ']' if is_v6(self.address) else self.address}:{self.port}"

    def _drop(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self):
        connection = http.client.HTTPSConnection(self.address, self.port, timeout=30, context=self._context)
        plain = self._socket(self.address, self.port)
        try:
            connection.sock = self._context.wrap_socket(plain, server_hostname=self.address)
        except OSError:
            plain.close()
            raise
        return connection

    def request(self, method, path, body=None, token=TOKENS["admin"], kind="application/json", raw=False):
        """One request by the admin (or another token); the decoded answer. Raises ApiError."""
        headers = {"Authorization": f"Bearer {token}", "Content-Type": kind, "Accept": "application/json", "User-Agent": "nodewall-harness"}
        data = json.dumps(body) if body is not None else None
        for attempt in (0, 1):
            fresh = self._connection is None
            if fresh:
                self._connection = self._connect()
            try:
                self._connection.request(method, path, data, headers)
                answer = self._connection.getresponse()
                content = answer.read().decode()
                break
            except (OSError, http.client.HTTPException):
                self._drop()
                if fresh or attempt:          # a kept connection may have been closed by the server; a new one that fails is an error
                    raise
        if answer.status >= 400:
            raise ApiError(answer.status, content)
        return content if raw else json.loads(content)

    def create_node(self, name, addresses=(), labels=None):
        """Registers a Node; the object as the server made it."""
        return self.request("POST", "/api/v1/nodes", node_object(name, addresses, labels))

    def set_addresses(self, name, addresses):
        """Replaces the addresses in its status."""
        return self.patch_status(name, {"addresses": address_list(addresses)})

    def patch_status(self, name, status):
        """A merge patch of the status: lists are replaced as a whole."""
        return self.request("PATCH", f"/api/v1/nodes/{name}/status", {"status": status}, kind="application/merge-patch+json")

    def patch_node(self, name, body):
        """A merge patch of the object (labels, taints, finalizers …)."""
        return self.request("PATCH", f"/api/v1/nodes/{name}", body, kind="application/merge-patch+json")

    def heartbeat(self, name):
        """What a kubelet writes every five minutes: a changed condition, the same addresses."""
        condition = node_object(name, [])["status"]["conditions"][0]
        condition["message"] = f"kubelet is posting ready status {time.monotonic_ns()}"
        return self.patch_status(name, {"conditions": [condition]})

    def delete_node(self, name):
        return self.request("DELETE", f"/api/v1/nodes/{name}")

    def delete_all(self):
        """Removes every Node."""
        return self.request("DELETE", "/api/v1/nodes")

    def nodes(self):
        """{name: [address …]} by a consistent list."""
        return {item["metadata"]["name"]: [entry["address"] for entry in item["status"].get("addresses", [])]
                for item in self.request("GET", "/api/v1/nodes")["items"]}

    def addresses(self):
        """The set of all IP addresses that nodes report (InternalIP and ExternalIP)."""
        return {entry["address"] for item in self.request("GET", "/api/v1/nodes")["items"]
                for entry in item["status"].get("addresses", []) if entry["type"] in ("InternalIP", "ExternalIP")}

    def resource_version(self):
        return self.request("GET", "/api/v1/nodes?limit=1")["metadata"]["resourceVersion"]

    # -- rights -------------------------------------------------------------------------------------------------------

    def grant(self):
        """Gives the user (and service account) "nodewall" the rights to read nodes."""
        for path, body in ((f"{RBAC}/clusterroles", ROLE), (f"{RBAC}/clusterrolebindings", BINDING)):
            try:
                self.request("POST", path, body)
            except ApiError as error:
                if error.code != 409:
                    raise
        wait_until(lambda: self._allowed() == 200, 10, "the rights to be given")

    def revoke(self):
        """Takes them away: requests get 403 (a running watch goes on, as in real life)."""
        self.request("DELETE", f"{RBAC}/clusterrolebindings/nodewall")
        wait_until(lambda: self._allowed() == 403, 10, "the rights to be taken away")

    def _allowed(self):
        try:
            self.request("GET", "/api/v1/nodes?limit=1", token=TOKENS["nodewall"])
            return 200
        except ApiError as error:
            return error.code

    def service_account_token(self, seconds=600):
        """A token of the service account "nodewall" that really expires (600 s at least)."""
        with contextlib.suppress(ApiError):
            self.request("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "nodewall"}})
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": seconds}}
        return self.request("POST", "/api/v1/namespaces/default/serviceaccounts/nodewall/token", body)["status"]["token"]

    def delete_service_account(self):
        """Makes its tokens worthless: 401."""
        self.request("DELETE", "/api/v1/namespaces/default/serviceaccounts/nodewall")

    def kubeconfig(self, path, user="nodewall", kind="token", token=None, inline=True, server=None, ca=None, context="prod"):
        """Writes a kubeconfig (0600). kind: token, token-file or cert; inline: certificates in the file instead of by path."""
        path, (certificate, key) = pathlib.Path(path), self.certificates[user]
        ca = pathlib.Path(ca or self.authority.certificate)
        word = token or TOKENS[user]
        if kind == "cert":
            login = {"client-certificate-data": _b64(certificate), "client-key-data": _b64(key)} if inline else \
                {"client-certificate": str(certificate), "client-key": str(key)}
        elif kind == "token-file":
            token_file = path.with_suffix(".token")
            token_file.touch(mode=0o600)
            token_file.write_text(word + "\n", encoding="ascii")
            login = {"tokenFile": str(token_file)}
        else:
            login = {"token": word}
        trust = {"certificate-authority-data": _b64(ca)} if inline else {"certificate-authority": str(ca)}
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": context,
            "clusters": [{"name": "c", "cluster": {"server": server or self.url, **trust}}], "users": [{"name": user, "user": login}],
            "contexts": [{"name": context, "context": {"cluster": "c", "user": user}}]}), encoding="ascii")
        return path

    # -- trouble ------------------------------------------------------------------------------------------------------

    def _etcd(self, path, body=None, method="POST", quiet=False):
        try:
            sock = self._socket("127.0.0.1", self.etcd_port)
        except OSError:
            if quiet:
                return None
            raise
        connection = http.client.HTTPConnection("127.0.0.1", self.etcd_port)
        connection.sock = sock
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = json.loads(answer.read() or b"{}")
        except (OSError, http.client.HTTPException, ValueError):
            if quiet:
                return None
            raise
        finally:
            connection.close()
        if answer.status != 200:
            if quiet:
                return None
            raise ApiError(answer.status, str(content))
        return content

    def compact(self):
        """Compacts etcd to its present revision. The watch cache still knows older ones: see expire_history()."""
        revision = self._etcd("/v3/kv/range", {"key": _b64_text("/registry"), "limit": 1})["header"]["revision"]
        try:
            self._etcd("/v3/kv/compaction", {"revision": revision, "physical": True})
        except ApiError as error:
            if "required revision has been compacted" not in str(error):
                raise
        return revision

    def expire_history(self, kill=False):
        """Makes every resourceVersion up to now too old: whoever resumes a watch gets 410. Restarts the API server."""
        self.stop_apiserver(kill)
        for number in range(3):                       # so that the revision is beyond what anybody has seen
            self._etcd("/v3/kv/put", {"key": _b64_text("/nodewall-test"), "value": _b64_text(str(number))})
        self.compact()
        self.start_apiserver()

    def logs(self, lines=20):
        """The ends of both logs, for a failed test."""
        return {"kube-apiserver": self.apiserver.tail(lines) if self.apiserver else "", "etcd": self.etcd.tail(lines) if self.etcd else ""}


def _b64(path):
    return base64.b64encode(pathlib.Path(path).read_bytes()).decode()


def _b64_text(text):
    return base64.b64encode(text.encode()).decode()
