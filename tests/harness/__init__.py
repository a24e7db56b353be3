# SPDX-License-Identifier: Apache-2.0
"""The test harness: real ends (etcd, kube-apiserver, salt-master, salt-minion, nft) as plain processes. See tests/README.md."""
