# SPDX-License-Identifier: Apache-2.0
"""The engine against servers and networks that misbehave; see ../FAULTS.md."""
