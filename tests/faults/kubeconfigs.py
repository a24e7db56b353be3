# SPDX-License-Identifier: Apache-2.0
"""Kubeconfigs to compare kubectl and nodewall by. Each is a function that writes its files into a Place and returns the kubeconfig's
path (several: with colons between): GOOD are those that both take, BROKEN those that both refuse, STRICTER those that kubectl takes and
we do not, each with its reason. None is the other way round.
"""
import base64
import json
import os
import pathlib
import shutil

import yaml
from harness import tls

V1, BETA = "client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"
GOOD, BROKEN, STRICTER = {}, {}, {}


class Place:
    """A case's directory, and the words that most kubeconfigs are made of."""

    def __init__(self, directory, cluster, proxies):
        self.directory, self.kube, self.proxies = directory, cluster, proxies
        self.directory.mkdir()
        self.ca = {"certificate-authority": str(cluster.authority.certificate)}

    def file(self, name, text, mode=0o600):
        path = self.directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        return str(path)

    def config(self, user=None, name="k", cluster=None, server=None, **more):
        """A kubeconfig with one of each: context x, cluster c, user u."""
        config = {"apiVersion": "v1", "kind": "Config", "current-context": "x", "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                  "clusters": [{"name": "c", "cluster": {"server": server or self.kube.url, **(self.ca if cluster is None else cluster)}}],
                  "users": [{"name": "u", "user": {"token": "nodewall-token"} if user is None else user}], **more}
        return self.file(name, yaml.safe_dump({key: value for key, value in config.items() if value is not None}))

    def pem(self, user="nodewall"):
        return self.kube.certificates[user]

    def exec(self, script, version=V1, config=None, beside=None, **more):
        """A kubeconfig whose plugin is this script, found from the kubeconfig's directory."""
        self.file("bin/plugin", f"#!/bin/sh\n{script}\n", 0o755)
        stanza = {"apiVersion": version, "command": "./bin/plugin", "interactiveMode": "IfAvailable", **more}
        return self.config({"exec": {key: value for key, value in stanza.items() if value is not None}, **(beside or {})}, **(config or {}))


def b64(path):
    return base64.b64encode(pathlib.Path(path).read_bytes()).decode()


def credential(version=V1, **status):
    return f"cat <<'END'\n{json.dumps({'apiVersion': version, 'kind': 'ExecCredential', 'status': status})}\nEND"


TOKEN = {"token": "nodewall-token"}


def case(table, *reason):
    def add(function):
        table[function.__name__] = (function, *reason)
        return function
    return add


# --- what both take ---
@case(GOOD)
def token(at):
    return at.config()


@case(GOOD)
def token_file_beside_the_kubeconfig(at):
    at.file("secret/token", "nodewall-token\n")
    return at.config({"tokenFile": "secret/token"})


@case(GOOD)
def token_file_before_token(at):
    at.file("token", "nodewall-token")
    return at.config({"tokenFile": "token", "token": "wrong"})


@case(GOOD)
def token_while_the_file_is_not_there(at):
    return at.config({"tokenFile": "absent", **TOKEN})


@case(GOOD)
def certificate_files(at):
    certificate, key = at.pem()
    shutil.copy(certificate, at.directory / "c.crt")
    return at.config({"client-certificate": "./c.crt", "client-key": str(key)})


@case(GOOD)
def certificate_data(at):
    certificate, key = at.pem()
    return at.config({"client-certificate-data": b64(certificate), "client-key-data": b64(key)},
                     cluster={"certificate-authority-data": b64(at.kube.authority.certificate)})


@case(GOOD)
def empty_texts(at):
    return at.config({**TOKEN, "tokenFile": "", "client-certificate": "", "as": "", "username": ""},
                     cluster={**at.ca, "tls-server-name": "", "proxy-url": ""})


@case(GOOD)
def unknown_keys(at):
    return at.config({**TOKEN, "extra": {"a": 1}}, cluster={**at.ca, "extensions": [{"name": "other", "extension": {}}]}, preferences={}, more=[1])


@case(GOOD)
def impersonation(at):
    return at.config({"token": "admin-token", "as": "nodewall"})


@case(GOOD)
def impersonation_of_all(at):
    return at.config({"token": "admin-token", "as": "somebody", "as-uid": "7", "as-groups": ["some", "system:masters"],
                      "as-user-extra": {"Reason/x": ["a", "b c"]}})


@case(GOOD)
def server_name(at):
    return at.config(cluster={**at.ca, "tls-server-name": "kubernetes"})


@case(GOOD)
def not_verified(at):
    return at.config(cluster={"insecure-skip-tls-verify": True})


@case(GOOD)
def not_compressed(at):
    return at.config(cluster={**at.ca, "disable-compression": True})


@case(GOOD)
def http_proxy(at):
    return at.config(cluster={**at.ca, "proxy-url": at.proxies["http"].url})


@case(GOOD)
def https_proxy(at):
    return at.config(cluster={**at.ca, "proxy-url": at.proxies["https"].url})


@case(GOOD)
def socks_proxy(at):
    return at.config(cluster={**at.ca, "proxy-url": at.proxies["socks5"].url})


@case(GOOD)
def socks_proxy_looks_names_up(at):
    return at.config(server=f"https://kubernetes:{at.kube.port}", cluster={**at.ca, "proxy-url": at.proxies["socks5"].url})


@case(GOOD)
def as_json(at):
    return at.file("k", json.dumps(yaml.safe_load(pathlib.Path(at.config()).read_text())))


@case(GOOD)
def several_files(at):
    """Context and user of one file, the cluster of another, relative paths by each; a third says the same otherwise, too late."""
    at.file("one/token", "nodewall-token")
    first = at.file("one/k", yaml.safe_dump({"contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                                             "users": [{"name": "u", "user": {"tokenFile": "token"}}]}))
    at.file("two/ca.crt", pathlib.Path(at.kube.authority.certificate).read_bytes())
    second = at.file("two/k", yaml.safe_dump({"current-context": "x", "clusters": [{"name": "c", "cluster": {
        "server": at.kube.url, "certificate-authority": "ca.crt"}}]}))
    third = at.config({"token": "wrong"}, name="third", server="https://127.0.0.1:1", **{"current-context": "no"})
    return f"{at.directory}/absent::{first}:{second}:{third}"


@case(GOOD)
def exec_token(at):
    return at.exec(credential(**TOKEN))


@case(GOOD)
def exec_v1beta1_without_a_mode(at):
    return at.exec(credential(BETA, **TOKEN), BETA, interactiveMode=None)


@case(GOOD)
def exec_yaml(at):
    return at.exec(f"printf 'apiVersion: {V1}\\nkind: ExecCredential\\nstatus:\\n  token: nodewall-token\\n'")


@case(GOOD)
def exec_certificate(at):
    certificate, key = at.pem()
    return at.exec(credential(clientCertificateData=certificate.read_text(), clientKeyData=key.read_text(), expirationTimestamp="2099-01-01T00:00:00Z"))


@case(GOOD)
def exec_ended_on_arrival(at):
    return at.exec(credential(**TOKEN, expirationTimestamp="2020-01-01T00:00:00Z"))


@case(GOOD)
def exec_arguments(at):
    return at.exec('[ "$1" = "" ] && [ "$2" = "a b" ] && [ "$3" = "\\$(id)" ] && [ "$X" = "y=z" ] && [ "$#" = 3 ] || exit 9\n' + credential(**TOKEN),
                   args=["", "a b", "$(id)"], env=[{"name": "X", "value": "w"}, {"name": "X", "value": "y=z"}])


@case(GOOD)
def exec_in_the_path(at):
    return at.exec("", command="sh", args=["-c", credential(**TOKEN)])


@case(GOOD)
def exec_is_told_about_the_cluster(at):
    """What it is told is kept, to be compared. NAME is set for kubectl alone."""
    cluster = {**at.ca, "tls-server-name": "kubernetes", "proxy-url": at.proxies["http"].url, "disable-compression": True,
               "extensions": [{"name": V1.rpartition("/")[0] + "/exec", "extension": {"audience": "x", "list": [1, {"a": None}]}}]}
    return at.exec(f'printf %s "$KUBERNETES_EXEC_INFO" >{at.directory}/info.$NAME\n' + credential(**TOKEN),
                   provideClusterInfo=True, config={"cluster": cluster})


@case(GOOD)
def exec_beside_a_token(at):
    return at.exec("exit 1", beside=TOKEN)


# --- what both refuse ---
@case(BROKEN)
def no_such_file(at):
    return str(at.directory / "absent")


@case(BROKEN)
def none_of_the_files(at):
    return f"{at.directory}/absent:{at.directory}/none"


@case(BROKEN)
def no_yaml(at):
    return at.file("k", "contexts: [\n")


@case(BROKEN)
def one_file_of_several_is_broken(at):
    return f"{at.config()}:{at.file('bad', 'users: {')}"


@case(BROKEN)
def no_such_context(at):
    return at.config(**{"current-context": "y"})


@case(BROKEN)
def no_current_context(at):
    return at.config(**{"current-context": None})


@case(BROKEN)
def no_such_cluster(at):
    return at.config(clusters=[])


@case(BROKEN)
def no_such_user(at):
    return at.config(users=[])


@case(BROKEN)
def a_name_twice(at):
    return at.config(users=[{"name": "u", "user": TOKEN}, {"name": "u", "user": {"token": "b"}}])


@case(BROKEN)
def no_server(at):
    return at.config(clusters=[{"name": "c", "cluster": at.ca}])


@case(BROKEN)
def no_base64(at):
    return at.config(cluster={"certificate-authority-data": "Y2E"})


@case(BROKEN)
def no_pem(at):
    return at.config(cluster={"certificate-authority-data": "Y2E="})


@case(BROKEN)
def no_ca_file(at):
    return at.config(cluster={"certificate-authority": "absent"})


@case(BROKEN)
def a_ca_that_is_not_to_count(at):
    return at.config(cluster={**at.ca, "insecure-skip-tls-verify": True})


@case(BROKEN)
def the_systems_cas(at):
    return at.config(cluster={})


@case(BROKEN)
def another_ca(at):
    return at.config(cluster={"certificate-authority": str(tls.Authority(at.directory).certificate)})


@case(BROKEN)
def another_server_name(at):
    return at.config(cluster={**at.ca, "tls-server-name": "other.example"})


@case(BROKEN)
def a_certificate_without_its_key(at):
    return at.config({"client-certificate": str(at.pem()[0])})


@case(BROKEN)
def a_key_of_another(at):
    return at.config({"client-certificate": str(at.pem()[0]), "client-key": str(at.pem("admin")[1])})


@case(BROKEN)
def no_token_file(at):
    return at.config({"tokenFile": "absent"})


@case(BROKEN)
def wrong_token(at):
    return at.config({"token": "wrong"})


@case(BROKEN)
def no_rights(at):
    return at.config({"token": "stranger-token"})


@case(BROKEN)
def anonymous(at):
    return at.config({})


@case(BROKEN)
def impersonation_without_rights(at):
    return at.config({**TOKEN, "as": "admin"})


@case(BROKEN)
def impersonation_of_a_stranger(at):
    return at.config({"token": "admin-token", "as": "stranger"})


@case(BROKEN)
def groups_of_nobody(at):
    return at.config({"token": "admin-token", "as-groups": ["system:masters"]})


@case(BROKEN)
def a_password(at):
    return at.config({"username": "admin", "password": "admin-token"})


@case(BROKEN)
def an_auth_provider_that_is_gone(at):
    return at.config({"auth-provider": {"name": "gcp"}})


@case(BROKEN)
def a_proxy_that_is_not_there(at):
    return at.config(cluster={**at.ca, "proxy-url": "http://127.0.0.1:1"})


@case(BROKEN)
def a_proxy_of_no_kind(at):
    return at.config(cluster={**at.ca, "proxy-url": "ftp://127.0.0.1:1"})


@case(BROKEN)
def exec_fails(at):
    return at.exec(credential(**TOKEN) + "\nexit 1")


@case(BROKEN)
def exec_that_is_not_there(at):
    return at.exec("", command="no-such-plugin-anywhere")


@case(BROKEN)
def exec_of_another_version(at):
    return at.exec(credential(BETA, **TOKEN))


@case(BROKEN)
def exec_of_a_version_that_is_gone(at):
    return at.exec(credential(**TOKEN), V1.replace("v1", "v1alpha1"))


@case(BROKEN)
def exec_v1_without_a_mode(at):
    return at.exec(credential(**TOKEN), interactiveMode=None)


@case(BROKEN)
def exec_that_wants_a_person(at):
    return at.exec(credential(**TOKEN), interactiveMode="Always")


@case(BROKEN)
def exec_prints_nothing(at):
    return at.exec("true")


@case(BROKEN)
def exec_prints_a_token_alone(at):
    return at.exec("echo nodewall-token")


@case(BROKEN)
def exec_gives_nothing(at):
    return at.exec(credential())


@case(BROKEN)
def exec_gives_half_a_pair(at):
    return at.exec(credential(**TOKEN, clientCertificateData=at.pem()[0].read_text()))


@case(BROKEN)
def exec_beside_an_auth_provider(at):
    return at.exec(credential(**TOKEN), beside={"auth-provider": {"name": "oidc"}})


# --- what we do not take ---
@case(STRICTER, "whoever can write to the file chooses a program that we run")
def exec_that_others_may_choose(at):
    path = at.exec(credential(**TOKEN))
    os.chmod(path, 0o666)
    return path


@case(STRICTER, "aliases are how a small file becomes a large one")
def aliases(at):
    text = pathlib.Path(at.config()).read_text()
    return at.file("k", text.replace("token: nodewall-token", "token: &t nodewall-token") + "more: *t\n")
