"""Every key of a report: its type, its unit and its meaning. docs/eval-json.md is this table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Key(NamedTuple):
    """One key. `kind`: JSON's types, joined by " or "; `unit` is empty where there is none."""

    name: str
    kind: str
    unit: str
    meaning: str


REPORT = (
    Key("schema", "integer", "", "version of this form: 1"),
    Key("tool", "object", "", "what made the report: `name` and `version`"),
    Key("title", "string", "", "what was evaluated, on what, and on how much of it"),
    Key("command", "string", "", "the command line"),
    Key("started", "string", "ISO 8601", "when the first sitting began"),
    Key("finished", "string or null", "ISO 8601", "when the last row was done"),
    Key("sittings", "integer", "", "how often the evaluation was started until it was done"),
    Key("task", "string", "", "`detect`, `recognize`, `ocr` (a detector and a recognizer, end to end) or `classify`"),
    Key("models", "array", "", "the models, see below"),
    Key("dataset", "object", "", "the dataset, see below"),
    Key("settings", "object", "", "how it was evaluated, see below"),
    Key("environment", "object", "", "where it was evaluated, see below"),
    Key("reference", "string or null", "", "`id` of the row that the others are compared with; null where no row ran"),
    Key("rows", "array", "", "the rows, see below, in the order of backends and precisions that was asked for"),
)

MODEL = (
    Key("role", "string", "", "`detector` and `recognizer` of a pair; of a single model, its task"),
    Key("name", "string", "", "the model's name"),
    Key("family", "string", "", "its family, as in `ocrd models`"),
    Key("task", "string", "", "`detection`, `recognition` or `classification`"),
    Key("path", "string", "", "the file that was given or that the name stands for"),
    Key("sha256", "string", "", "of that file"),
    Key("format", "string", "", "of that file: `onnx`, `checkpoint`, ..."),
    Key(
        "orientation",
        "string or null",
        "",
        "`exif` or `ignore`: whether a picture was turned as its file says; boxes are in that frame",
    ),
)

DATASET = (
    Key("kind", "string", "", "which reader read it"),
    Key("path", "string", "", "as it was given"),
    Key("pictures", "integer", "", "how many pictures were evaluated"),
    Key("of", "integer", "", "how many pictures the dataset has"),
    Key("limit", "integer or null", "", "`--limit`; null where all pictures were taken"),
    Key("seed", "integer", "", "of the sample that `--limit` takes"),
    Key("labelled", "boolean", "", "whether it is known what the pictures say; without labels there is no accuracy"),
    Key("regions", "integer", "", "how many true regions count"),
    Key("ignored", "integer", "", "how many regions neither count nor harm"),
    Key("missing", "integer", "", "how many labels had no picture, and were left out"),
    Key("fingerprint", "string", "", "equal for two reports where names, pictures and labels are"),
)

SETTINGS = (
    Key("batch_size", "integer", "pictures", "most pictures in one batch"),
    Key("threads", "integer", "", "threads of a row; 0: the cores that it may use"),
    Key("device", "string", "", "the device that was asked for"),
    Key("shape", "string or null", "NCHW", "the one shape of all inputs; null: each picture's own"),
    Key("rounds", "integer", "", "in how many turns the rows took the pictures"),
    Key("metrics", "array", "", "names of the metrics, see metrics.md"),
    Key("min_score", "number or null", "0 to 1", "least score of a region that counts as an answer"),
    Key("agreement_iou", "number", "0 to 1", "least intersection over union of two boxes that are the same box"),
    Key("journal", "string or null", "", "the folder that results were kept in as they came"),
    Key("bootstrap", "object", "", "of the intervals: `samples`, `seed`, and `level`, 0.95 for 95 %"),
)

ENVIRONMENT = (
    Key("python", "string", "", "version of Python"),
    Key("platform", "string", "", "operating system and machine"),
    Key("cpu", "string", "", "name of the processor"),
    Key("cores", "integer", "", "cores that the evaluation may use"),
    Key("memory_gib", "number or null", "GiB", "memory of the machine"),
    Key("gpu", "string or null", "", "name of the GPU; null where there is none"),
    Key("packages", "object", "", "versions of the packages that matter, by name"),
    Key("load", "object", "processes", "how many processes wanted a core: `before` and `after`; null where it is not known"),
    Key("measuring_share", "number or null", "0 to 1", "share of the time that went into measuring, not into models"),
    Key("clock_mhz", "object", "MHz", "mean clock of the cores: `before` and `after`; null where it is not known"),
)

IDENTITY = (
    Key("id", "string", "", "backend, precision and device: names the row within the report"),
    Key("backend", "string", "", "name of the backend"),
    Key("version", "string or null", "", "version of its runtime"),
    Key("distribution", "string or null", "", "the installed package that it comes from"),
    Key("device_asked", "string or null", "", "the device that was asked for"),
    Key("device", "string or null", "", "the device that it ran on"),
    Key("provider", "string or null", "", "what ran it within the runtime"),
    Key("precision", "string", "", "the precision that was asked for"),
    Key("precision_claimed", "string or null", "", "the precision that the session says"),
    Key("precision_proved", "string or null", "", "the precision that the session or its numbers prove"),
    Key("models", "array or null", "", "what this row ran for each model of the report"),
    Key("status", "string", "", "`ok`; `unavailable`: could not start here; `failed`: broke off"),
    Key("problem", "string or null", "", "why it is not ok; a sentence"),
    Key("fix", "string or null", "", "what mends it"),
    Key("reference", "boolean", "", "whether the others are compared with this row"),
    Key("warnings", "array", "", "sentences on what makes this row's figures doubtful"),
    Key("notes", "array or null", "", "sentences on what was done to make it run"),
)

ANSWERS = (
    Key("pictures", "integer or null", "", "pictures that were answered"),
    Key("errors", "integer or null", "", "pictures that gave an error; they count as answered with nothing"),
    Key(
        "metrics",
        "object or null",
        "",
        "by metric: `headline`, `figures`, `lower_is_better`, and `details`, such as the sweep",
    ),
    Key("agreement", "number or null", "0 to 1", "share of pictures on which the row answers as the reference"),
    Key("agreeing", "integer or null", "pictures", "on how many it does"),
    Key("compared", "integer or null", "pictures", "of how many"),
    Key("box_iou", "number or null", "0 to 1", "mean intersection over union of boxes matched with the reference's"),
    Key("batch_agreement", "number or null", "0 to 1", "share of pictures that are answered the same in a batch as alone"),
    Key("repeat_agreement", "number or null", "0 to 1", "share of pictures that are answered the same when asked again"),
    Key("deviation", "number or null", "standard deviations", "largest distance of a raw output from the reference's"),
)

LATENCY = (
    Key("p50_ms", "number or null", "ms", "median latency of a picture"),
    Key("p95_ms", "number or null", "ms", "95 % of latencies are below"),
    Key("p99_ms", "number or null", "ms", "99 % of latencies are below"),
    Key("mean_ms", "number or null", "ms", "mean latency"),
    Key("min_ms", "number or null", "ms", "least latency"),
    Key("max_ms", "number or null", "ms", "greatest latency"),
    Key("timings", "integer or null", "", "how many latencies there are"),
    Key("outliers", "integer or null", "", "how many lie more than 3 interquartile ranges above the third quartile"),
    Key("pictures_per_s", "number or null", "1/s", "pictures in a second"),
    Key("latency_quantiles_ms", "array or null", "ms", "101 quantiles of the latencies: 0 %, 1 %, ... 100 %"),
    Key("decode_ms", "number or null", "ms", "median time of reading and decoding the file"),
    Key("preprocess_ms", "number or null", "ms", "median time of making the tensor"),
    Key("infer_ms", "number or null", "ms", "median time in the runtime, until the result is on the host"),
    Key("postprocess_ms", "number or null", "ms", "median time of making regions or text of it"),
    Key("detect_ms", "number or null", "ms", "of a pair: median time of finding the lines"),
    Key("crop_ms", "number or null", "ms", "of a pair: median time of cutting them out"),
    Key("classify_ms", "number or null", "ms", "of a pair: median time of finding lines upside down"),
    Key("recognize_ms", "number or null", "ms", "of a pair: median time of reading the lines"),
    Key("warm_up_passes", "integer or null", "", "how often it was warmed up before it was timed"),
    Key("warm_up_steady", "boolean or null", "", "whether its latency was steady by then"),
    Key("sittings", "integer or null", "", "from how many sittings the timings come"),
)

COST = (
    Key("open_s", "number or null", "s", "time of opening the session"),
    Key("build_s", "number or null", "s", "time of making the artifact, whenever that was"),
    Key("built", "string or null", "", "`now`, `earlier` or `nothing to build`"),
    Key("artifact_bytes", "integer or null", "bytes", "size of what the backend runs"),
    Key("artifact_format", "string or null", "", "its format"),
    Key("artifact_path", "string or null", "", "where it is"),
    Key("host_memory_peak_mib", "number or null", "MiB", "most memory that the row's own process held"),
    Key("host_memory_growth_mib_per_picture", "number or null", "MiB/picture", "how fast that grew: a leak"),
    Key("device_memory_peak_mib", "number or null", "MiB", "most memory on the device; null without one"),
    Key("disagreements", "array or null", "", "the first pictures, at most 24, that it answers otherwise than the reference"),
)

ROW = (*IDENTITY, *ANSWERS, *LATENCY, *COST)

DISAGREEMENT = (
    Key("index", "integer", "", "place of the picture among those evaluated, from 0"),
    Key("picture", "string", "", "its name in the dataset"),
    Key("path", "string", "", "its file"),
    Key("true", "array", "", "the true texts; empty where they are not known"),
    Key("reference", "object", "", "`regions` of the reference's answer, each with `polygon`, `text`, `score`; or `problem`"),
    Key("row", "object", "", "the same of this row's answer"),
)

AROUND_A_FIGURE = (
    Key("_low", "number or null", "", "lower end of the figure's interval: a bootstrap over pictures"),
    Key("_high", "number or null", "", "its upper end"),
    Key("_drop", "number or null", "", "how much worse than the reference; below 0 is better"),
    Key("_drop_low", "number or null", "", "lower end of the drop's interval: the same pictures drawn for both rows"),
    Key("_drop_high", "number or null", "", "its upper end"),
)
"""What stands beside each figure of a metric, such as `hmean`: `hmean_low` and so on."""

SECTIONS: Mapping[str, tuple[Key, ...]] = {
    "The report": REPORT,
    "`models[]`": MODEL,
    "`dataset`": DATASET,
    "`settings`": SETTINGS,
    "`environment`": ENVIRONMENT,
    "`rows[]`: what ran": IDENTITY,
    "`rows[]`: its answers": ANSWERS,
    "`rows[]`: its latency": LATENCY,
    "`rows[]`: its cost": COST,
    "`rows[].disagreements[]`": DISAGREEMENT,
    "Beside each figure": AROUND_A_FIGURE,
}

MEASURED = tuple(key.name for key in ROW if key.kind.split(" ")[0] in {"number", "integer"})
"""The keys of a row that are numbers, whatever was measured."""


def around(figure: str) -> tuple[str, ...]:
    """Return the keys of a figure and of what stands beside it."""
    return (figure, *(figure + key.name for key in AROUND_A_FIGURE))


def figures(rows: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the names of all figures of all metrics of `rows`, in their order."""
    named = (name for row in rows for metric in (row.get("metrics") or {}).values() for name in metric.get("figures", ()))
    return tuple(dict.fromkeys(named))


def headlines(rows: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the figure of each metric that a table shows."""
    return tuple(dict.fromkeys(metric["headline"] for row in rows for metric in (row.get("metrics") or {}).values()))


def less_is_better(rows: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Return the figures of which less is better: what metrics say of themselves under `lower_is_better`."""
    return frozenset(
        name for row in rows for metric in (row.get("metrics") or {}).values() for name in metric.get("lower_is_better", ())
    )
