"""The HTML report in a real browser: it loads nothing, complains of nothing, and fits every window."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import pytest
from PIL import Image

from ocrdeploy import drawn
from ocrdeploy.evaluation.report import page, schema

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")

SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--remote-debugging-pipe",
)

PATIENCE_S = 60

WIDTHS = (360, 768, 1600)
NARROW = 720
"""Below this, names stand beside the plots, not in them."""

OVERFLOW = """(() => {
  const room = document.documentElement.clientWidth;
  const held = (element) => element.closest(".scrolling, .unseen") !== null;
  return Array.from(document.body.querySelectorAll("*"))
    .filter((element) => !held(element) && element.getBoundingClientRect().right > room + 1)
    .map((element) => element.outerHTML.slice(0, 120))
    .concat(document.documentElement.scrollWidth > room ? ["the page scrolls sideways"] : []);
})()"""

SHOWN = """Array.from(document.querySelectorAll(SELECTOR))
  .filter((each) => each.checkVisibility()).map((each) => each.textContent)"""

LABEL_OVERLAPS = """(() => {
  const labels = Array.from(document.querySelectorAll(".scatter .label")).filter((each) => each.checkVisibility());
  const boxes = labels.map((each) => each.getBoundingClientRect());
  const meets = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  return boxes.flatMap((a, i) => boxes.slice(i + 1).filter((b) => meets(a, b)).map(() => labels[i].textContent));
})()"""


class BrowserGone(Exception):
    """The browser ended, or does not answer."""


class Browser:
    """Chromium with one window, spoken to over a pair of pipes by its DevTools protocol."""

    def __init__(self, executable: str, profile: Path) -> None:
        commands, self._to = os.pipe()
        self._from, answers = os.pipe()
        # Chromium reads commands from descriptor 3, and writes answers to descriptor 4.
        script = f'exec "$0" "$@" 3<&{commands} 4>&{answers}'
        self._process = subprocess.Popen(
            ["bash", "-c", script, executable, *SWITCHES, f"--user-data-dir={profile}"],
            pass_fds=(commands, answers),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(answers)
        self._rest, self._number, self._session = b"", 0, ""
        self.events: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        try:
            target = self.ask("Target.createTarget", url="about:blank")["targetId"]
            self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.ask(f"{domain}.enable")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._to)  # the end of the pipe is the end of the browser
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        self._process.kill()
        self._process.wait()
        os.close(self._from)

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command, and return its result; what happens meanwhile goes to `events`."""
        self._number += 1
        session = {"sessionId": self._session} if self._session else {}
        message = {"id": self._number, "method": method, "params": params, **session}
        with contextlib.suppress(BrokenPipeError):  # a browser that ended is found out below
            os.write(self._to, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self.events.append(answer)
        assert "error" not in answer, answer
        return dict(answer["result"])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._from], [], [], PATIENCE_S)
            piece = os.read(self._from, 1 << 16) if ready else b""
            if not piece:
                raise BrowserGone("the browser ended" if ready else f"the browser said nothing for {PATIENCE_S} s")
            self._rest += piece
        message, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(message))

    def resize(self, width: int, *, dark: bool = False, medium: str = "screen") -> None:
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", media=medium, features=[scheme])

    def open(self, path: Path) -> None:
        self.events.clear()
        self.ask("Page.navigate", url=path.as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def value(self, expression: str) -> Any:
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def shown(self, selector: str) -> list[str]:
        return list(self.value(SHOWN.replace("SELECTOR", json.dumps(selector))))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        pytest.skip("needs a browser: install Chromium, such as by: apt-get install chromium")
    with contextlib.ExitStack() as stack:
        try:
            opened = stack.enter_context(Browser(executable, tmp_path_factory.mktemp("profile")))
        except BrowserGone as error:
            pytest.skip(f"needs a browser that starts: of {executable}, {error}")
        yield opened


@pytest.fixture
def report(repository: Path) -> dict[str, Any]:
    return dict(schema.read(repository / "tests" / "core" / "goldens" / "report.json"))


def picture(shown: Mapping[str, Any]) -> Image.Image:
    return Image.fromarray(drawn.page((480, 800), shown["index"]))


@pytest.fixture
def written(report: dict[str, Any], tmp_path: Path) -> Path:
    return write(report, tmp_path)


def write(report: dict[str, Any], folder: Path) -> Path:
    path = folder / "report.html"
    path.write_text(page.to_html(report, picture), encoding="utf-8")
    return path


def complaints(browser: Browser) -> list[str]:
    """What the console says and which exceptions nobody caught; and every request that left the page's own file."""
    kinds = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
    said = [json.dumps(event["params"]) for event in browser.events if event.get("method") in kinds]
    sent = [event["params"] for event in browser.events if event.get("method") == "Network.requestWillBeSent"]
    return said + [each["request"]["url"] for each in sent[1:] if not each["request"]["url"].startswith("data:")]


def test_the_page_loads_nothing_and_the_console_is_empty(browser: Browser, written: Path) -> None:
    browser.resize(1280)
    browser.open(written)
    assert browser.value("document.title").startswith("dbnet+crnn")
    assert complaints(browser) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_hangs_over_the_edge_of_a_window(browser: Browser, written: Path, width: int) -> None:
    browser.resize(width)
    browser.open(written)
    assert browser.value("window.innerWidth") == width
    assert browser.value(OVERFLOW) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_every_row_that_ran_is_in_the_plots_and_no_name_covers_another(
    browser: Browser, report: dict[str, Any], written: Path, width: int
) -> None:
    browser.resize(width)
    browser.open(written)
    ran = [row["id"] for row in report["rows"] if row["status"] == "ok"]
    named = ".plot .legend span" if width < NARROW else ".scatter .label"
    assert browser.shown(named) == ran * 2, "one plot for each metric"
    assert len(browser.shown(".scatter .label")) == 2 * len(ran)
    assert browser.shown("#latency .bar-name")[: len(ran)] == ran
    assert browser.value(LABEL_OVERLAPS) == []


def test_the_table_sorts_both_ways_and_what_has_no_value_stays_last(browser: Browser, written: Path) -> None:
    browser.resize(1600)
    browser.open(written)
    names = "Array.from(document.querySelectorAll('table.rows tbody tr'), (row) => row.cells[0].title)"
    heads = "Array.from(document.querySelectorAll('table.rows thead button'))"
    click = f"{heads}.find((each) => each.textContent === 'p50 ms').click()"
    before = browser.value(names)
    browser.value(click)
    fastest = browser.value(names)
    browser.value(click)
    slowest = browser.value(names)
    assert fastest[:3] == ["onnxruntime fp32 cpu", "onnxruntime fp16 cpu", "pytorch fp32 cpu"]
    assert slowest[:3] == fastest[:3][::-1]
    assert fastest[3:] == slowest[3:] == before[3:]
    assert complaints(browser) == []


def test_the_pictures_of_one_row_can_be_picked(browser: Browser, written: Path) -> None:
    browser.resize(1600)
    browser.open(written)
    assert len(browser.shown(".exhibit h3")) == 8
    choose = "const s = document.querySelector('.filter select'); s.value = VALUE; s.dispatchEvent(new Event('change'))"
    browser.value(f"{{ {choose.replace('VALUE', json.dumps('onnxruntime fp32 cpu'))} }}")
    assert browser.shown(".exhibit h3") == ["apanar_06.08.2002/IMG_1261.JPG"]
    assert browser.shown(".exhibit figcaption") == ["pytorch fp32 cpu (reference)", "onnxruntime fp32 cpu"]
    browser.value(f"{{ {choose.replace('VALUE', json.dumps('all rows'))} }}")
    assert len(browser.shown(".exhibit h3")) == 8


def test_without_its_script_the_page_shows_all_the_same(browser: Browser, written: Path) -> None:
    browser.ask("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.resize(1280)
        browser.open(written)
        # The protocol may still ask; only the page may not run anything.
        assert browser.value("document.querySelectorAll('table.rows thead button').length") == 0
        assert len(browser.shown(".exhibit h3")) == 8
        assert len(browser.shown("table.rows tbody tr")) == 5
    finally:
        browser.ask("Emulation.setScriptExecutionDisabled", value=False)


def test_texts_and_names_of_strangers_stay_texts(browser: Browser, report: dict[str, Any], tmp_path: Path) -> None:
    attack = "</script></style><img src=x onerror=\"document.title='owned'\">'\"&<svg onload=alert(1)>"
    hostile = json.loads(json.dumps(report).replace("CHECK-lN", json.dumps(attack)[1:-1]))
    hostile["title"] = attack
    for row in hostile["rows"]:
        row["id"] = row["backend"] = f"{row['id']} {attack}"
        row["problem"] = row["fix"] = attack
        row["warnings"] = [attack]
    hostile["rows"][1]["disagreements"][0]["picture"] = attack
    hostile["environment"]["packages"] = {attack: attack}
    browser.resize(360)
    browser.open(write(hostile, tmp_path))
    assert browser.value("document.title") == attack
    assert browser.shown("h1") == [attack]
    assert browser.value("document.querySelectorAll('img, script:not(body > script:last-child)').length") == 0
    assert complaints(browser) == []
    assert browser.value(OVERFLOW) == []


def test_every_text_can_be_read_against_what_is_behind_it(browser: Browser, written: Path) -> None:
    for dark in (False, True):
        browser.resize(1280, dark=dark)
        browser.open(written)
        assert browser.value(FAINT) == [], "dark" if dark else "light"


FAINT = """(() => {
  const parts = (colour) => (colour.match(/[\\d.]+/g) || []).map(Number);
  const light = (colour) => {
    const [r, g, b] = parts(colour).map((each) => each / 255)
      .map((each) => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = getComputedStyle(each).backgroundColor;
      if (parts(colour)[3] !== 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const found = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || ["SCRIPT", "title"].includes(element.tagName)) continue;
    const style = getComputedStyle(element);
    const ink = element.namespaceURI.endsWith("svg") ? style.fill : style.color;
    const [a, b] = [light(ink), light(behind(element))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) found.add(`${element.tagName}.${element.getAttribute("class")} ${ink} ${behind(element)}`);
  }
  return [...found];
})()"""
"""WCAG's relative luminance and contrast, AA for text: at least 4.5."""
