"""Whether a plugin is as it should be: what can be told from outside, what it does when it is loaded, and the contract suite."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ocrdeploy import __version__
from ocrdeploy.doctor import checking, children, suite
from ocrdeploy.doctor.findings import Finding, Severity, broken, warning
from ocrdeploy.doctor.packages import CORE
from ocrdeploy.doctor.projects import Candidate
from ocrdeploy.errors import OcrdError

LIMIT_S = 60.0
"""How long a plugin may take to be loaded before it is given up."""
QUICK_S = 0.5
"""How long loading a plugin and asking its static hooks may take: every `ocrd` command waits for it."""
PROBE_S = 1.0
"""How long a probe may take."""


@dataclass(frozen=True, slots=True)
class Checkup:
    """What was found of one plugin. `row` is what discovery says of it (see `PluginRow`), as JSON has it.

    `suites` holds the result of the contract suite by its option; `unjudged` says why it could not be run, '' where it was, or
    is not for this kind of plugin.
    """

    name: str
    distribution: str
    row: Mapping[str, Any]
    findings: tuple[Finding, ...]
    suites: Mapping[str, suite.SuiteResult] = field(default_factory=dict)
    unjudged: str = ""

    @property
    def good(self) -> bool:
        """Whether nothing is wrong: there may be warnings, and the suite may not have been run."""
        wrong = any(each.severity is Severity.BROKEN for each in self.findings)
        return not wrong and not any(each.failures for each in self.suites.values())


def check(candidate: Candidate, name: str, path: Sequence[str], *, static: bool = False) -> Checkup:
    """Check the plugin `name` of the candidate, which is found with `path` before `sys.path`; `static`: without the suite."""
    end = _loaded(name, path)
    loaded = _answer(end, "loaded")
    if loaded and loaded["seconds"] > QUICK_S:
        # The machine may have been busy, or the files not in memory: the second time counts.
        end = _loaded(name, path)
        loaded = _answer(end, "loaded")
    together = _answer(end, "together") or ""
    who = f"{candidate.distribution} {candidate.version}".strip()
    if loaded is None:
        reason = f" ({end.last_words})" if end.last_words else ""
        found = broken(name, f"it cannot be loaded: {end.problem}{reason}", "import its module in Python, and see")
        return Checkup(name, who, {}, (found, *_metadata(candidate)))
    findings = (*_loading(name, loaded), *_beside_others(name, loaded, together), *_metadata(candidate))
    whole = Checkup(name, who, loaded["row"], findings)
    return whole if static or not whole.good else _suited(whole, path)


def _loaded(name: str, path: Sequence[str]) -> children.Ended:
    return children.run(Path(checking.__file__), [name], LIMIT_S, [*path, *sys.path])


def _answer(end: children.Ended, key: str) -> Any:
    return next((answer[key] for answer in end.answers if key in answer), None)


def _suited(checkup: Checkup, path: Sequence[str]) -> Checkup:
    """Return the checkup with the contract suite run."""
    kinds = checkup.row["kinds"]
    options = {"backend": f"--ocrd-backend={checkup.name}", "models": f"--ocrd-models={checkup.name}"}
    results, unjudged = {}, ""
    if checkup.row["state"] == "cannot run":
        unjudged = f"the backend cannot run here: {checkup.row['problem']} (fix: {checkup.row['fix']})"
        options.pop("backend")
    for kind, option in options.items():
        if kind in kinds:
            try:
                results[option] = suite.run(option, path)
            except OcrdError as error:
                unjudged = f"{error.problem} (fix: {error.fix})"
    return Checkup(checkup.name, checkup.distribution, checkup.row, checkup.findings, results, unjudged)


def _loading(name: str, loaded: Mapping[str, Any]) -> Iterator[Finding]:
    row = loaded["row"]
    if row["state"] == "broken":
        yield broken(name, row["problem"], "docs/hooks.md says what a plugin has to be")
    if row["state"] == "cannot run" and not row["fix"]:
        problem = f"its probe names a problem and no remedy: {row['problem']}"
        yield broken(name, problem, "let Probe.fix name the command that mends it")
    if loaded["heavy"]:
        problem = f"loading it imports {', '.join(loaded['heavy'])}, and every ocrd command waits for that"
        yield broken(name, problem, "import them inside the functions that need them")
    elif loaded["seconds"] > QUICK_S:
        problem = f"loading it and asking its static hooks takes {loaded['seconds']:.1f} s, and every ocrd command waits for that"
        yield broken(name, problem, "import and compute less when it is loaded")
    if loaded["probe_seconds"] > PROBE_S:
        problem = f"its probe takes {loaded['probe_seconds']:.1f} s, and should take less than a second"
        yield warning(name, problem, "ask importlib.metadata for versions, instead of importing")
    if loaded["sniffing"]:
        yield broken(name, f"its DatasetInfo.sniff is wrong: {loaded['sniffing']}", "look for what no other kind has")
    for said in loaded["said"]:
        yield warning(name, said, "mend it before it is a problem for users")


def _beside_others(name: str, loaded: Mapping[str, Any], together: str) -> Iterator[Finding]:
    if together and loaded["row"]["state"] != "broken":
        yield broken(name, f"beside what is installed here it cannot be used: {together}", "choose names that are not taken")


def _metadata(candidate: Candidate) -> Iterator[Finding]:
    major, minor = __version__.split(".")[:2]
    fix = f'write in its pyproject.toml: dependencies = ["{CORE}>={__version__},<{major}.{int(minor) + 1}"]'
    needs = _needed_core(candidate)
    if needs is None:
        yield warning(candidate.distribution, f"{candidate.distribution} does not say which {CORE} it needs", fix)
    elif not needs:
        yield broken(candidate.distribution, f"{candidate.distribution} refuses {CORE} {__version__}, which is installed", fix)
    if not candidate.licensed:
        problem = f"{candidate.distribution} says nothing of a licence, so nobody else may use it"
        yield warning(candidate.distribution, problem, "name one in its pyproject.toml, and put its text into LICENSE")


def _needed_core(candidate: Candidate) -> bool | None:
    """Return whether the candidate takes this core; None where it does not say."""
    from packaging.requirements import InvalidRequirement, Requirement

    for line in candidate.requires:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        if requirement.name == CORE and not (requirement.marker and "extra" in str(requirement.marker)):
            return requirement.specifier.contains(__version__, prereleases=True)
    return None
