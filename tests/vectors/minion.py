# SPDX-License-Identifier: Apache-2.0
"""Writes minion.json: what real masters answer to a sign-in and to an event, and what Salt's own code makes of it.

Run it with the harness's Python from tests/: python -m vectors.minion > vectors/minion.json
Each release's own Python does the asking (`--ask`), with that release's RSA and Crypticle. The keys in the file were made for it.
"""
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

NONCE, TOKEN, ID = "0123456789abcdef" * 2, bytes(range(32)), "vector"
EVENT = {"tag": "my/tag", "data": {"a": 1}}


def ask(uri, directory, wanted):
    """Prints the cases of one master as JSON."""
    import salt.crypt
    import salt.utils.crypt
    import zmq
    from salt.utils import msgpack

    def load_key(kind, name):
        make = getattr(kind, "from_file", kind)
        return make(str(directory / name))

    def rpc(message):
        with zmq.Context() as context, context.socket(zmq.REQ) as sock:
            sock.linger = 0
            sock.connect(uri)
            sock.send(msgpack.dumps(message, use_bin_type=True))
            if not sock.poll(20000):
                raise TimeoutError(uri)
            return sock.recv()

    key, master = load_key(salt.crypt.PrivateKey, "minion.pem"), load_key(salt.crypt.PublicKey, "master.pub")
    cases = []
    for digest in ("SHA1", "SHA224"):
        algorithms = {"enc_algo": f"OAEP-{digest}", "sig_algo": f"PKCS1v15-{digest}"}
        load = {"cmd": "_auth", "id": ID, "nonce": NONCE, "pub": (directory / "minion.pub").read_text().strip(),
                "token": master.encrypt(TOKEN, algorithms["enc_algo"]), **algorithms}
        raw = rpc({"enc": "clear", "version": 3, "load": load})
        case = {"hash": digest.lower(), "reply": raw.hex()}
        if wanted == "accepted":
            signed = msgpack.loads(msgpack.loads(raw, raw=True)[b"load"], raw=True)
            session = key.decrypt(signed[b"session"], algorithms["enc_algo"])
            session = session if isinstance(session, str) else session.decode()
            proof = bytes(key.encrypt(b"salt"))
            crypticle = salt.crypt.Crypticle({}, session)
            event = {"cmd": "_minion_event", "id": ID, "nonce": NONCE, "ts": 1700000000, "tok": proof, "events": [EVENT]}
            answer = rpc({"enc": "aes", "version": 3, "id": ID, "load": crypticle.dumps(event), **algorithms})
            case.update(session=session, proof=proof.hex(), box=crypticle.dumps({"a": 1}).hex(), answer=answer.hex(),
                        failed=rpc({"enc": "aes", "version": 3, "id": ID, "load": crypticle.dumps({**event, "events": [{"data": {}}]}), **algorithms}).hex(),
                        bad=rpc({"enc": "aes", "version": 3, "id": ID, "load": crypticle.dumps(event)[:-1] + b"x", **algorithms}).hex())
        cases.append(case)
    odd = {"cmd": "_auth", "id": ID, "nonce": NONCE, "pub": (directory / "minion.pub").read_text().strip(), "enc_algo": "OAEP-SHA1", "sig_algo": "PKCS1v15-MD5"}
    print(json.dumps({"finger": salt.utils.crypt.pem_finger(str(directory / "master.pub")), "cases": cases,
                      "odd": rpc({"enc": "clear", "version": 3, "load": odd}).hex(),
                      "old": rpc({"enc": "clear", "version": 0, "load": {**odd, "sig_algo": "PKCS1v15-SHA1"}}).hex()}))


def record(version, directory):
    """Everything about one release: the answers while the key is pending, accepted and rejected."""
    from harness import saltbed
    with saltbed.Master(version) as master:
        (directory / "master.pub").write_bytes((master.directory / "p" / "master.pub").read_bytes())
        found = {"salt": version, "master": (directory / "master.pub").read_text(encoding="ascii")}
        for state in ("pending", "accepted", "rejected"):
            if state != "pending":
                master.wheel("key.accept_dict" if state == "accepted" else "key.reject_dict",
                             {"minions_pre" if state == "accepted" else "minions": [ID]}, **({} if state == "accepted" else {"include_accepted": True}))
            done = subprocess.run([master.venv / "bin" / "python", __file__, "--ask", f"tcp://127.0.0.1:{master.ret_port}", directory, state],
                                  check=True, capture_output=True, text=True)
            found[state] = json.loads(done.stdout)
        return found


def main():
    from harness import saltbed, venvs
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        saltbed.make_keys(directory, "minion")
        releases = [record(version, directory) for version in venvs.SALT_VERSIONS]
        for release in releases:                        # the same for all states
            release["finger"] = release["pending"].pop("finger")
            for state in ("pending", "accepted", "rejected"):
                release[state].pop("finger", None)
                if state != "pending":
                    del release[state]["odd"], release[state]["old"]
        json.dump({"id": ID, "nonce": NONCE, "token": TOKEN.hex(), "key": (directory / "minion.pem").read_text(encoding="ascii"),
                   "public_sha256": hashlib.sha256((directory / "minion.pub").read_bytes().strip()).hexdigest(), "releases": releases}, sys.stdout, indent=1)
        print()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--ask"]:
        ask(sys.argv[2], pathlib.Path(sys.argv[3]), sys.argv[4])
    else:
        main()
