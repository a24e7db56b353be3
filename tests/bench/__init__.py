# SPDX-License-Identifier: Apache-2.0
"""What ./dev bench measures; see README.md."""
