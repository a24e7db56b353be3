# SPDX-License-Identifier: Apache-2.0
"""Half a minute of `./dev soak` with seeds that are always the same."""
import pytest
from faults.soak import soak_all


@pytest.mark.timeout(300)
def test_faults_by_chance(tmp_path):
    found = soak_all([1, 2, 3], 30, tmp_path)
    assert [what for _, what in found if not isinstance(what, str)] == []
