# SPDX-License-Identifier: Apache-2.0
"""The main job, over the control socket.

usage: test_keeper.py FRESHETD DEVSERVER FRESHET
"""
from harness import equal, run_cases


def signs_in_at_boot(lab):
    with lab.keeper({"billing": lab.service()}) as keeper:
        keeper.signed_in("billing")
        answer = keeper.headers("billing")
        equal(answer.status, 200, repr(answer))


run_cases([signs_in_at_boot])
