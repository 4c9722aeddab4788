"""The dashboard in a real browser: one scenario by its name, against the binary that is to be tested.

python tests/dashboard SCENARIO BINARY
"""

import sys

import manners
import seeing
import steering
import trouble
from tab import Chromium

SCENARIOS = {
    name: scenario
    for module in (seeing, steering, trouble, manners)
    for name, scenario in vars(module).items()
    if callable(scenario) and getattr(scenario, "__module__", "") == module.__name__ and not name.startswith("_")
}


def main():
    name, binary = sys.argv[1:]
    with Chromium() as chromium:
        SCENARIOS[name](chromium, binary)


main()
