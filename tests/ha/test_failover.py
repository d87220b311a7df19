"""Nothing that was acknowledged is lost in a failover, and what is unknown is found by its token."""

from __future__ import annotations

import pytest
from tests.ha.cluster import running_cluster
from tests.ha.failover import WARM_UP_ROWS, fail_over, kill_server

pytestmark = [pytest.mark.ha, pytest.mark.slow]


@pytest.mark.parametrize("loses_contact", [False, True])
def test_when_the_leader_is_killed_nothing_acknowledged_is_lost(loses_contact: bool) -> None:
    with running_cluster() as cluster:
        outcome = fail_over(cluster, kill_server, loses_contact=loses_contact)
    print(outcome)
    assert outcome.acknowledged > WARM_UP_ROWS
    assert outcome.lost == 0
    assert outcome.unresolved == 0


def test_where_commits_wait_for_nobody_the_loss_is_found() -> None:
    """The negative control."""
    with running_cluster(is_synchronous=False) as cluster:
        outcome = fail_over(cluster, kill_server, loses_contact=True)
    print(outcome)
    assert outcome.lost > 0
    assert outcome.unresolved == 0
