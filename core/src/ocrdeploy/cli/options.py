"""What options are made of: sections in the help, closed sets of words, devices, KEY=VALUE pairs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Any

import click

from ocrdeploy.errors import unknown

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


class _Option(click.Option):
    """An option that stands under a title in the help."""

    def __init__(self, *args: Any, section: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.section = section


class Command(click.Command):
    """A command whose help shows its options by section, in the order in which they are declared."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, each section with its title."""
        options = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        for title, members in groupby(options, key=lambda option: getattr(option, "section", "Messages")):
            records = [record for record in (option.get_help_record(ctx) for option in members) if record]
            with formatter.section(title):
                formatter.write_dl(records)


def section(title: str) -> Callable[..., Decorator]:
    """Return `click.option` for the options under `title` of a `Command`."""
    return partial(click.option, cls=_Option, section=title)


def one_of(kind: str, words: Sequence[str]) -> dict[str, Any]:
    """Return the settings of an option that takes one of `words`; another is an error that names the nearest of them."""

    def check(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
        if value is not None and value not in words:
            raise unknown(kind, value, words)
        return value

    def complete(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return {"callback": check, "shell_complete": complete, "metavar": "|".join(words)}


def device(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """Check the spelling of a device; whether it is there is the backend's to say."""
    if value is not None and not DEVICE.fullmatch(value):
        raise unknown("device", value, ("auto", "cpu", "cuda", "cuda:0"), "use auto, cpu, cuda or cuda:N, N being a number")
    return value


def no_empty_path(_ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse "", which is what an unset variable of a shell gives: as a path it would mean the current folder."""
    if "" in values:
        raise click.BadParameter("a path is empty", param=param)
    return values


NETWORKS = ("native", "mmocr")


def networks(decorator: Callable[..., Decorator]) -> Decorator:
    """Return the option `--networks`, which `with_shorthands` turns into the backend option that it stands for."""
    told = "For checkpoints: the plugin's own networks, or MMOCR's (docs/install-mmocr.md).  [default: native]"
    return decorator("--networks", help=told, **one_of("value of --networks", NETWORKS))


TRUST = {"trust_engine": "yes"}


def trust_engine(decorator: Callable[..., Decorator]) -> Decorator:
    """Return the flag `--trust-engine`, which `with_shorthands` turns into the backend option that it stands for."""
    told = "Open engine files that ocrdeploy did not make, too: they are code, which runs with your rights."
    return decorator("--trust-engine", is_flag=True, help=told)


def with_shorthands(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return `settings` with the backend options that `--networks` and `--trust-engine` stand for, where these were given."""
    made = dict(settings)
    chosen = made.pop("networks", None)
    if chosen is not None:
        made["backend_options"] = {**made["backend_options"], "networks": chosen}
    if made.pop("trust_engine", False):
        made["backend_options"] = {**made["backend_options"], **TRUST}
    return made


def pairs(_ctx: click.Context, param: click.Parameter, values: Iterable[str]) -> dict[str, str]:
    """Turn KEY=VALUE, KEY=VALUE, ... into a dictionary."""
    made: dict[str, str] = {}
    for value in values:
        key, equals, rest = value.partition("=")
        if not (key and equals):
            raise click.BadParameter(f"{value!r} is not KEY=VALUE", param=param)
        made[key] = rest
    return made
