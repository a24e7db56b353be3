# SPDX-License-Identifier: Apache-2.0
"""Writes bus.json: events as Salt's own functions put them on the bus. Usage: bus.py PYTHON… > bus.json (one per Salt release)

`pushed` is what goes to the pulling socket, `published` what subscribers get, `json` how the data reads.
"""
import json
import subprocess
import sys

TIME = "20261123T15:12:26.144984"
SAMPLES = [
    ("my/tag", {"a": 1, "_stamp": "2026-11-23T15:12:26.144984"}, None),
    ("nodewall/prod/addresses", {"v": 1, "added": ["203.0.113.1", "2001:db8::1"], "removed": [], "rv": "4711", "token": "0" * 32}, None),
    ("caf\u00e9/\u20ac", {"\u00e9": "\U0001f600", "nil": None, "yes": True, "no": False, "half": 0.5, "minus": -70000, "big": 1 << 63}, None),
    ("long", {"text": "x" * 300}, None),
    ("salt/job/20261123151226144984/ret/db", {"at": "@time", 5: "@bytes"}, {"at": TIME, "5": "bytes"}),
]


def emit():
    import datetime

    import salt.payload
    import salt.transport.frame
    import salt.utils.event
    import salt.version

    found = []
    for tag, data, shown in SAMPLES:
        special = {"@time": datetime.datetime(2026, 11, 23, 15, 12, 26, 144984), "@bytes": b"bytes"}
        real = {key: special.get(value, value) if isinstance(value, str) else value for key, value in data.items()}
        # As fire_event does; 3006 has no function of its own for it.
        body = tag.encode() + salt.utils.event.TAGEND.encode() + salt.payload.dumps(real, use_bin_type=True)
        release = int(salt.version.__version__.split(".")[0])
        publish = salt.transport.frame.frame_msg_ipc if release < 3007 else salt.transport.frame.frame_msg
        found.append({"tag": tag, "json": json.dumps(shown or data, separators=(",", ":"), ensure_ascii=False), "body": body.hex(),
                      "pushed": salt.transport.frame.frame_msg_ipc(body, raw_body=True).hex(), "published": publish(body).hex()})
    print(json.dumps({"salt": str(salt.version.__version__), "events": found}))


def main(pythons):
    merged = []
    for python in pythons:
        one = json.loads(subprocess.run([python, __file__, "--emit"], stdout=subprocess.PIPE, check=True).stdout)
        for other in merged:
            if other["events"] == one["events"]:
                other["salt"].append(one["salt"])
                break
        else:
            merged.append({"salt": [one["salt"]], "events": one["events"]})
    json.dump(merged, sys.stdout, indent=1, ensure_ascii=False)
    print()


if __name__ == "__main__":
    emit() if sys.argv[1:] == ["--emit"] else main(sys.argv[1:])
