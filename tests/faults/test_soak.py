# SPDX-License-Identifier: Apache-2.0
"""Half a minute of `./dev soak`, with seeds that are always the same. It began with the session, see conftest.py."""
import pytest


@pytest.mark.timeout(300)
def test_faults_by_chance(request):
    said = request.session.soak.communicate(timeout=240)[0]
    print(said)
    assert request.session.soak.returncode == 0, said
