"""A browser, and a tab of it that remembers every complaint."""

import os
import pathlib
import re

import axe_playwright_python
from playwright.sync_api import TimeoutError, sync_playwright

# For one step, in milliseconds: a browser on a busy machine needs seconds for what takes none.
PATIENCE = 60_000
AXE = (pathlib.Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()

# A policy violation is an event of the document; as an error of the console it can't be missed.
WATCH = """
document.addEventListener('securitypolicyviolation', (event) =>
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""


class Chromium:
    """Debian's Chromium, without a screen."""

    def __enter__(self):
        self.playwright = sync_playwright().start()
        self.browser = self.playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"),
            args=["--no-sandbox", "--disable-dev-shm-usage"],
        )
        return self

    def __exit__(self, *_):
        self.browser.close()
        self.playwright.stop()

    def tab(self, stage, **context):
        return Tab(self.browser, stage, **context)


class Tab:
    def __init__(self, browser, stage, width=1280, height=800, **context):
        self.stage = stage
        self.context = browser.new_context(viewport={"width": width, "height": height}, **context)
        self.context.set_default_timeout(PATIENCE)
        self.page = self.context.new_page()
        self.complaints = []
        self.page.on("console", lambda said: said.type in ("error", "warning") and self.complaints.append(said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        self.page.add_init_script(WATCH)

    def __enter__(self):
        self.load()
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.clean()
        self.context.close()

    def load(self):
        self.page.goto(self.stage.address)

    def clean(self):
        assert self.complaints == [], self.complaints

    def forgive(self, *patterns):
        """Drops the complaints that a scenario brings about on purpose; each must have come."""
        for pattern in patterns:
            found = [said for said in self.complaints if re.search(pattern, said)]
            assert found, f"nobody complained of {pattern}: {self.complaints}"
            self.complaints = [said for said in self.complaints if said not in found]

    def until(self, expression, argument=None):
        """Waits until an expression of JavaScript is true of the page, where `given` is the argument."""
        # As a function: an expression would be given to eval, and the page's policy forbids that.
        try:
            self.page.wait_for_function(f"(given) => {expression}", arg=argument)
        except TimeoutError:
            shown = self.page.evaluate("document.body.innerText")
            raise AssertionError(f"never: {expression} {argument}\n{self.complaints}\n{shown}") from None

    def says(self, place, *words):
        """Waits until `place` says all of these."""
        self.until(
            "given.words.every((word) => (document.querySelector(given.place)?.textContent ?? '').includes(word))",
            {"place": place, "words": list(words)},
        )

    def headline(self, words):
        self.says(".headline", words)

    def act(self, label):
        """Presses the button that a screen reader calls so."""
        self.page.get_by_role("button", name=label, exact=True).click()

    def focused(self):
        return self.page.evaluate("document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent")

    def serious(self):
        """What axe finds that is serious or critical."""
        if not self.page.evaluate("typeof axe === 'object'"):
            self.page.evaluate(f"{AXE}; undefined")
        found = self.page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        return [
            f"{violation['id']}: {violation['help']}: {node['html'][:200]} {node.get('failureSummary', '')}"
            for violation in found["violations"]
            if violation["impact"] in ("serious", "critical")
            for node in violation["nodes"]
        ]
