"""From `InferOptions` and `ExportOptions` to what this plugin understands. Imports no PyTorch."""

from __future__ import annotations

from collections.abc import Mapping

from ocrdeploy.cores import usable_cores
from ocrdeploy.errors import BadInput, unknown
from ocrdeploy.vocabulary import InferOptions

Options = Mapping[str, tuple[str, ...]]

NETWORK: Options = {
    # Who builds the network: this plugin, or MMOCR itself where it is installed.
    "networks": ("native", "mmocr"),
    # How a detector's neck enlarges its maps, instead of what the model's description says.
    "upsample": ("model", "nearest", "bilinear"),
}
"""What an export understands: the options that concern the network itself, the default first."""

OPTIONS: Options = {
    **NETWORK,
    "channels_last": ("off", "on"),
    "compile": ("off", "on"),
}
"""The `--backend-option` keys and their values, the default first."""


def chosen(extra: Mapping[str, str], options: Options = OPTIONS) -> dict[str, str]:
    """Return a value for each of `options`. Raises `UnknownName` for a key or a value that there is not."""
    values = {key: accepted[0] for key, accepted in options.items()}
    for key, value in extra.items():
        if key not in options:
            raise unknown("option of backend 'pytorch'", key, options)
        if value.lower() not in options[key]:
            raise unknown("backend option", f"{key}={value}", [f"{key}={each}" for each in options[key]])
        values[key] = value.lower()
    return values


def thread_count(options: InferOptions) -> int:
    """Return how many threads a run may use."""
    if options.threads < 0:
        raise BadInput(f"{options.threads} threads cannot be", "name 1 or more, or 0 for the cores that this process may use")
    return options.threads or usable_cores()


def refuse_foreign(options: InferOptions) -> None:
    """Raise `BadInput` for options that other backends have and this one has not."""
    if options.provider:
        raise BadInput(
            f"backend 'pytorch' has no execution provider {options.provider!r}", "leave --provider out; name a --device"
        )
    if options.custom_ops:
        raise BadInput("backend 'pytorch' loads no custom-op libraries", "leave --custom-ops out")
