# SPDX-License-Identifier: Apache-2.0
"""kubectl, as far as the README uses it: the same calls, to a real API server that is told to refuse what it doesn't know.

It also does what kube-controller-manager does when a Secret asks for the token of a service account: fills it in.
Test machines run it with Salt's Python; SERVER, CA and TOKEN stand above.
"""
import base64
import json
import re
import ssl
import sys
import urllib.error
import urllib.request

import yaml

RESOURCES = {"ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts", "Secret": "/api/v1/namespaces/{}/secrets",
             "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles", "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"}


def ask(method, path, body=None, kind="application/json"):
    request = urllib.request.Request(SERVER + path, json.dumps(body).encode() if body else None, method=method,  # noqa: F821
                                     headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": kind})  # noqa: F821
    with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=CA)) as answer:  # noqa: F821
        return json.load(answer)


def fill(secret):
    account = secret["metadata"]["annotations"]["kubernetes.io/service-account.name"]
    place = RESOURCES["ServiceAccount"].format(secret["metadata"]["namespace"]) + f"/{account}/token"
    token = ask("POST", place, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}})["status"]["token"]
    with open(CA, "rb") as file:  # noqa: F821
        data = {"token": token.encode(), "ca.crt": file.read()}
    ask("PATCH", RESOURCES["Secret"].format(secret["metadata"]["namespace"]) + f"/{secret['metadata']['name']}",
        {"data": {key: base64.b64encode(value).decode() for key, value in data.items()}}, "application/merge-patch+json")


def each(path):
    with open(path, encoding="utf-8") as file:
        for item in yaml.safe_load_all(file):
            yield item, RESOURCES[item["kind"]].format(item["metadata"].get("namespace"))


def main(words):
    if words[:2] == ["apply", "-f"] and len(words) == 3:
        for item, place in each(words[2]):
            ask("POST", f"{place}?fieldValidation=Strict", item)
            if item.get("type") == "kubernetes.io/service-account-token":
                fill(item)
    elif words[:2] == ["delete", "-f"] and len(words) == 3:
        for item, place in each(words[2]):
            ask("DELETE", f"{place}/{item['metadata']['name']}")
    elif words == ["config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}"]:
        print(SERVER, end="")  # noqa: F821
    elif words[:1] == ["-n"] and words[2:4] == ["get", "secret"] and re.fullmatch(r"jsonpath=\{\.data\.[a-z\\.]+\}", words[-1]) and words[5] == "-o":
        key = words[-1][len("jsonpath={.data."):-1].replace("\\.", ".")
        print(ask("GET", RESOURCES["Secret"].format(words[1]) + f"/{words[4]}")["data"][key], end="")
    else:
        sys.exit(f"this kubectl is the test's and doesn't know: {' '.join(words)}")


try:
    main(sys.argv[1:])
except urllib.error.HTTPError as error:
    sys.exit(f"{error.code}: {error.read().decode()}")
