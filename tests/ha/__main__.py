"""``python -m tests.ha``: start a cluster, kill its leader under writers, and print what was lost."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
from contextlib import suppress
from dataclasses import asdict

from tests.ha.cluster import running_cluster
from tests.ha.failover import fail_over, kill_machine, kill_server


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.ha", description=__doc__)
    parser.add_argument("--kill", choices=["server", "machine"], default="server")
    parser.add_argument("--asynchronous", action="store_true", help="the negative control: commits wait for nobody")
    parser.add_argument("--loses-contact", action="store_true", help="for a moment before, the others hear nothing")
    parser.add_argument("--stays", action="store_true", help="only start the cluster, and leave it until Ctrl-C")
    options = parser.parse_args()
    logging.getLogger("minidb").setLevel(logging.CRITICAL)
    with running_cluster(is_synchronous=not options.asynchronous) as cluster:
        if options.stays:
            print(f"{cluster.url}\nCtrl-C ends it")
            signal.pause()
        kill = kill_server if options.kill == "server" else kill_machine
        outcome = fail_over(cluster, kill, loses_contact=options.loses_contact)
    print(json.dumps(asdict(outcome)))
    sys.exit(bool(outcome.lost or outcome.unresolved))


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
