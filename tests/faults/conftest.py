# SPDX-License-Identifier: Apache-2.0
"""What takes long by its nature begins with the session and runs beside the other tests."""
import concurrent.futures

import pytest
from faults import vanish


@pytest.fixture(scope="session", autouse=True)
def _early(request, tmp_path_factory):
    if not any(item.name == "test_a_peer_that_vanishes" for item in request.session.items):
        yield
        return
    request.getfixturevalue("namespaces")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        request.session.vanished = pool.submit(vanish.run, tmp_path_factory.mktemp("vanish"))
        yield
