# SPDX-License-Identifier: Apache-2.0
"""The demo of ./dev demo; see demo.py."""
