"""Debian's Chromium, driven through its own chromedriver: what a person does with notebooks, and what they see."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from selenium.common.exceptions import WebDriverException
from selenium.webdriver import ActionChains, Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from tests.node.kubectl import until

PAGE_S = 240
"""A page of JupyterLab with everything on it: 5 s on two idle cores."""
SELECT_KERNEL = ".jp-Dialog:has(select) .jp-mod-accept"
GIVEN_UP = "WebSocket is closed before the connection is established."
PACKAGES = {"chromium": "chromium", "chromedriver": "chromium-driver"}
"""Program -> the Debian package that it comes in."""


@dataclass
class Browser:
    """One window. Every wait has a deadline, and leaves a screenshot when it fails."""

    driver: Chrome
    host: str
    pictures: Path
    """The folder for screenshots."""

    def open(self, path: str) -> None:
        self.driver.get(f"http://{self.host}{path}")

    def picture(self, name: str) -> Path:
        """Keep a screenshot in the artefacts."""
        file = self.pictures / f"{name}.png"
        assert self.driver.save_screenshot(str(file))
        return file

    def see(self, what: str, selector: str, text: str = "") -> WebElement:
        """The first visible element of this CSS selector, with this text in it, as soon as there is one."""

        def look() -> WebElement | None:
            try:
                found = self.driver.find_elements(By.CSS_SELECTOR, selector)
                return next((e for e in found if e.is_displayed() and text in e.text), None)
            except WebDriverException:  # the page was drawn anew between the two
                return None

        try:
            return until(what, look, PAGE_S)  # type: ignore[no-any-return]
        except AssertionError as error:
            kept = self.picture(f"failed-{what.replace(' ', '-')}")
            text_now = self.driver.find_element(By.TAG_NAME, "body").text
            raise AssertionError(f"{error}; at {self.driver.current_url} ({kept}): {text_now[:2000]}") from error

    def press(self, what: str, selector: str, text: str = "") -> None:
        """Click an element."""

        def click() -> bool:
            try:
                self.see(what, selector, text).click()
            except WebDriverException:  # something lies above it still
                return False
            return True

        until(f"{what} can be pressed", click, PAGE_S)

    def fill(self, selector: str, text: str) -> None:
        self.see(selector, selector).send_keys(text)

    def log_in(self, user: str, password: str = "any") -> None:
        """The form of the hub."""
        self.open("/hub/login")
        self.fill("#username_input", user)
        self.fill("#password_input", password)
        self.press("the button that logs in", "#login_submit")

    def call(self, method: str, path: str, body: object = None) -> Any:
        """A request of the page to its own server, with its cookies; returns what the JSON says."""
        script = """
            const [method, path, body, done] = arguments;
            const cookie = document.cookie.split('; ').find(c => c.startsWith('_xsrf='));
            const headers = {'Content-Type': 'application/json', 'X-XSRFToken': (cookie || '').slice(6)};
            fetch(path, {method, headers, body: body === null ? undefined : JSON.stringify(body)})
                .then(async answer => done([answer.status, await answer.text()]), error => done([0, String(error)]));
        """
        status, text = self.driver.execute_async_script(script, method, path, body)
        assert 200 <= status < 300, f"{method} {path}: {status} {text[:2000]}"
        return json.loads(text) if text else None

    def run_cells(self, count: int) -> list[str]:
        """Run the cells of the notebook that is open, one after the other; what each has printed.

        JupyterLab draws cells one by one: how many there are is the caller's knowledge.
        """
        self.see("a kernel that waits", '.jp-NotebookPanel-toolbar [data-status="idle"]')
        until(f"{count} cells are drawn", lambda: len(self.cells()) == count, PAGE_S)
        for number in range(count):
            try:
                until(f"cell {number + 1} has run", lambda at=number: self._ran(at), PAGE_S)
            except AssertionError:
                self.picture(f"failed-cell-{number + 1}")
                raise
        return self.printed()

    def _ran(self, number: int) -> bool:
        """Tell whether a cell has run; start it where it does not run.

        A notebook that has just been opened may call its kernel idle and drop what it is told to run: the prompt
        stays empty. It has a star while the cell waits or runs, and a number behind that. One that has no kernel yet
        when it is told to run asks which one, and proposes the one that the notebook names.
        """
        try:
            if self.there(SELECT_KERNEL):
                self.driver.find_element(By.CSS_SELECTOR, SELECT_KERNEL).click()
                return False
            cell = self.cells()[number]
            prompt = cell.find_element(By.CSS_SELECTOR, ".jp-InputArea-prompt").text
            if re.search(r"\d", prompt):
                return True
            if "*" not in prompt:
                cell.find_element(By.CSS_SELECTOR, ".cm-content").click()
                ActionChains(self.driver).key_down(Keys.CONTROL).send_keys(Keys.ENTER).key_up(Keys.CONTROL).perform()
        except WebDriverException:  # it was drawn anew in between
            pass
        return False

    def cells(self) -> list[WebElement]:
        """The code cells of the notebook that is open."""
        return self.driver.find_elements(By.CSS_SELECTOR, ".jp-Notebook .jp-CodeCell")

    def save(self) -> None:
        """Save the notebook that is open, and wait until nothing is left to save."""
        ActionChains(self.driver).key_down(Keys.CONTROL).send_keys("s").key_up(Keys.CONTROL).perform()
        self.gone("what is not saved", ".jp-mod-dirty")

    def there(self, selector: str) -> bool:
        """Tell whether an element of this CSS selector is to be seen now."""
        return any(e.is_displayed() for e in self.driver.find_elements(By.CSS_SELECTOR, selector))

    def gone(self, what: str, selector: str) -> None:
        """Wait until no element of this CSS selector is there."""
        until(f"{what} is gone", lambda: not self.there(selector), PAGE_S)

    def printed(self) -> list[str]:
        """What stands below each cell of the notebook that is open."""
        outputs = [cell.find_elements(By.CSS_SELECTOR, ".jp-OutputArea-output") for cell in self.cells()]
        return ["\n".join(o.text for o in found).strip() for found in outputs]

    def websockets(self) -> dict[str, int]:
        """URL of each WebSocket opened since the last call -> status of its handshake (0: no answer).

        Without those that the page itself closed before there was an answer: JupyterLab may begin a session twice
        for a notebook that is opened by its address, each with a kernel, and drops the first.
        """
        opened: dict[str, str] = {}
        status: dict[str, int] = {}
        for entry in self.driver.get_log("performance"):
            event = json.loads(entry["message"])["message"]
            number = event["params"].get("requestId", "")
            if event["method"] == "Network.webSocketCreated":
                opened[number] = event["params"]["url"]
            elif event["method"] == "Network.webSocketHandshakeResponseReceived":
                status[number] = event["params"]["response"]["status"]
            elif event["method"] == "Network.webSocketFrameError" and event["params"]["errorMessage"] == GIVEN_UP:
                opened.pop(number, None)
        return {url: status.get(number, 0) for number, url in opened.items()}


@contextmanager
def browser(host: str, address: str, folder: Path, pictures: Path) -> Iterator[Browser]:
    """A window that finds ``host`` at ``address``; ``folder`` is its profile. Skips where there is no Chromium."""
    found = {program: shutil.which(program) for program in PACKAGES}
    missing = [package for program, package in PACKAGES.items() if not found[program]]
    if missing:
        pytest.skip(f"not run: no browser; Debian packages: {' '.join(missing)}")
    options = ChromeOptions()
    options.binary_location = str(found["chromium"])
    for argument in arguments(host, address, folder):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    driver = Chrome(options, ChromeService(str(found["chromedriver"])))
    try:
        driver.set_page_load_timeout(PAGE_S)
        driver.set_script_timeout(PAGE_S)
        yield Browser(driver, host, pictures)
    finally:
        driver.quit()


def arguments(host: str, address: str, folder: Path) -> Sequence[str]:
    """Chromium's own: no window, nobody's profile, no server but ours."""
    return (
        "--headless=new",
        "--no-sandbox",  # it refuses to have one for root
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--no-proxy-server",
        "--disable-background-networking",
        "--window-size=1400,1000",
        f"--user-data-dir={folder}",
        f"--host-resolver-rules=MAP {host} {address}, MAP * ~NOTFOUND",
    )
