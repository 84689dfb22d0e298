"""A report as one HTML page that holds all it shows: it loads nothing, and needs no script to be read."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources

from ocrdeploy.evaluation.report import charts, gallery, keys, pairing, tabulated, wording
from ocrdeploy.evaluation.report import columns as shown
from ocrdeploy.evaluation.report.gallery import Difference, PictureOf
from ocrdeploy.evaluation.report.markup import Markup, join, raw, tag
from ocrdeploy.evaluation.report.schema import Report, Row

COLOURS = 8
"""How many rows have a colour of their own."""


def to_html(report: Report, picture: PictureOf) -> str:
    """Return the page. `picture` opens the picture of a disagreement, in the frame of its polygons; None where it is gone.

    Its content security policy lets it load nothing at all, and run only the one script that is in it.
    """
    style, script = (resources.files(__package__).joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    sections = [section for section in _sections(report, picture) if section]
    contents = tag("nav", tag("ul", *(entry for entry, _ in sections)), aria_label="Contents")
    main = tag("main", _header(report), contents, *(body for _, body in sections))
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="icon", href="data:,"),
        tag("title", str(report["title"])),
        tag("style", raw(style)),
    )
    body = tag("body", main, _footer(report), tag("script", raw(script)))
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def _policy(style: str, script: str) -> str:
    hashes = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii") for text in (style, script))
    allowed = "style-src 'sha256-{}'; script-src 'sha256-{}'".format(*hashes)
    return f"default-src 'none'; img-src data:; {allowed}; base-uri 'none'; form-action 'none'"


def _header(report: Report) -> Markup:
    title, *facts = shown.heading(report)
    lines = [line.partition(": ") for line in facts]
    pairs = [tag("div", tag("dt", name), tag("dd", value)) for name, _, value in lines]
    return tag("header", tag("p", "OCR deployment report", class_="kicker"), tag("h1", title), tag("dl", *pairs, class_="facts"))


def _footer(report: Report) -> Markup:
    tool = report.get("tool") or {}
    made = (
        f"{tool.get('name', 'ocrdeploy')} {tool.get('version', '')}, {report.get('started', '')} to {report.get('finished', '')}"
    )
    return tag("footer", tag("p", made), tag("p", tag("code", str(report.get("command", "")))))


def _sections(report: Report, picture: PictureOf) -> list[tuple[Markup, Markup] | None]:
    rows = report["rows"]
    styles = {str(row["id"]): f"r{index % COLOURS}" for index, row in enumerate(rows)}
    ran = [row for row in rows if row["status"] == "ok"]
    return [
        _section("table", "The rows", tabulated.rows(report, styles), *_notes(rows)),
        _section("warnings", "Warnings", _warnings(ran)),
        _section("not-run", "Rows that could not run", _not_run(rows)),
        _section("accuracy", _plot_title(ran), charts.accuracy(ran, styles)),
        _section("latency", "Latency distributions", charts.latency(ran, styles)),
        _section("split", "Where the time goes", charts.split(ran, styles)),
        _section("cost", "Memory, size and build time", charts.cost(ran, styles)),
        _section("disagreements", "Pictures on which rows disagree", _disagreements(report, styles, picture)),
        _section("details", "Sweeps of thresholds", tabulated.sweeps(ran)),
        _section("environment", "Models, settings, environment and rows", tabulated.circumstances(report)),
    ]


def _section(name: str, title: str, *content: Markup) -> tuple[Markup, Markup] | None:
    """Return a section and its entry in the contents; None where it has nothing to show."""
    if not any(content):
        return None
    entry = tag("li", tag("a", title, href=f"#{name}"))
    return entry, tag("section", tag("h2", title, id=f"{name}-title"), *content, id=name, aria_labelledby=f"{name}-title")


def _plot_title(ran: Sequence[Row]) -> str:
    return "Accuracy against latency" if keys.headlines(ran) else "Agreement against latency"


def _notes(rows: Sequence[Row]) -> list[Markup]:
    return [tag("p", note, class_="note") for note in shown.footnotes(rows)]


def _warnings(ran: Sequence[Row]) -> Markup:
    said = [(row["id"], each) for row in ran for each in row.get("warnings") or ()]
    said += [(row["id"], f"{wording.counted(row['errors'], 'picture')} gave an error") for row in ran if row.get("errors")]
    lines = [tag("li", tag("strong", str(name)), f": {words}") for name, words in said]
    return tag("ul", *lines, class_="warnings") if lines else Markup("")


def _not_run(rows: Sequence[Row]) -> Markup:
    entries = []
    for row in rows:
        if row["status"] != "ok":
            fix = [tag("p", tag("span", "Fix: ", class_="quiet"), str(row["fix"]))] if row.get("fix") else []
            name = tag("p", tag("strong", str(row["id"])), " ", tag("span", str(row["status"]), class_="tag"))
            entries.append(tag("li", name, tag("p", str(row.get("problem") or "no reason is known")), *fix))
    return tag("ul", *entries, class_="not-run") if entries else Markup("")


def _disagreements(report: Report, styles: dict[str, str], picture: PictureOf) -> Markup:
    """Return an exhibit for each picture, with all the rows that answer it otherwise."""
    by_picture: dict[int, list[Difference]] = {}
    for row in report["rows"]:
        for each in row.get("disagreements") or ():
            by_picture.setdefault(each["index"], []).append(Difference(str(row["id"]), styles[str(row["id"])], each))
    if not by_picture:
        return Markup("")
    iou = wording.number(report.get("settings") or {}, "agreement_iou") or pairing.USUAL_IOU
    reference = str(report.get("reference") or "the reference")
    counts = [
        f"{row['id']}: {int(compared - agreeing)} of {int(compared)}"
        for row in report["rows"]
        if (compared := wording.number(row, "compared")) is not None
        and (agreeing := wording.number(row, "agreeing")) is not None
        and compared > agreeing
    ]
    intro = f"Pictures that are answered otherwise than by the reference, {reference}: {'; '.join(counts)}. "
    kept = f"Shown: {wording.counted(len(by_picture), 'picture')}; a report keeps a row's first 24."
    differences = [each for group in by_picture.values() for each in group]
    shows = [gallery.exhibit(by_picture[index], reference, iou, picture) for index in sorted(by_picture)]
    key = gallery.legend(differences)
    return join([tag("p", intro + kept, class_="note"), key, tag("div", *shows, class_="exhibits")])
