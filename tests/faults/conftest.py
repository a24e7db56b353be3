# SPDX-License-Identifier: Apache-2.0
"""What takes long by its nature begins with the session and runs beside the other tests."""
import concurrent.futures
import contextlib
import os
import subprocess
import sys

import pytest
from faults import soak, vanish

SOAK = ("30", "1", "2", "3")        # seconds, and the seeds


@pytest.fixture(scope="session", autouse=True)
def _early(request, tmp_path_factory):
    wanted, session = {item.name for item in request.session.items}, request.session
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        if "test_a_peer_that_vanishes" in wanted:
            with contextlib.suppress(pytest.skip.Exception):        # the skip is the test's alone
                request.getfixturevalue("namespaces")
                session.vanished = pool.submit(vanish.run, tmp_path_factory.mktemp("vanish"))
        if "test_faults_by_chance" in wanted:
            session.soak = subprocess.Popen([sys.executable, soak.__file__, *SOAK], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                            stderr=subprocess.STDOUT, text=True,
                                            env=dict(os.environ, PYTHONPATH=os.path.dirname(os.path.dirname(soak.__file__))))
        yield
        if "test_faults_by_chance" in wanted and session.soak.poll() is None:
            session.soak.terminate()
