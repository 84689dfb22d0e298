"""What measuring costs: the latencies that `ocrd eval` reports beside those of the same calls made by hand.

    python benchmarks/measuring.py MODEL DATASET [--backend NAME] [--limit N] [--rounds N]

One process opens MODEL once and answers each picture of the dataset twice by turns: bare (read the file, decode,
`Pipeline.predict`, a clock around all of it) and as a row of `ocrd eval` does (its `read` request, from the request's JSON to
the answer's, of which the reported time is a part). Which of them begins alternates. Printed, over all pictures:

* reported / bare: how much longer a reported latency is than that of the bare call; the cost that falls on the figures;
* request / reported: how much longer the row is busy than the time that it reports; the cost that falls on the user.

Both are ratios of medians, with a 95 % interval (bootstrap over pictures).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import numpy as np

from ocrdeploy import images, samples
from ocrdeploy.evaluation import plan, selection
from ocrdeploy.evaluation.child import Child
from ocrdeploy.evaluation.order import Order
from ocrdeploy.pipeline import Pipeline
from ocrdeploy.plugins import discover


def bare(pipeline: Pipeline, path: Path, name: str) -> float:
    started = perf_counter()
    spec = pipeline.model.input
    pipeline.predict([images.decode(path.read_bytes(), name=name, colour=spec.colour, orientation=spec.orientation)])
    return (perf_counter() - started) * 1000


def asked(child: Child, path: Path, name: str) -> tuple[float, float]:
    started = perf_counter()
    reply = json.dumps(child.reply(json.dumps({"do": "read", "paths": [str(path)], "names": [name]}).encode()))
    return (perf_counter() - started) * 1000, json.loads(reply)["ms"]["total"]


def ratio(over: Sequence[float], under: Sequence[float]) -> str:
    first, second = np.array(over), np.array(under)
    chance = np.random.default_rng(0)
    drawn = chance.integers(0, len(first), (2000, len(first)))
    low, high = np.percentile(np.median(first[drawn], axis=1) / np.median(second[drawn], axis=1), [2.5, 97.5])
    return f"{np.median(first) / np.median(second):.4f} ({low:.4f} to {high:.4f})"


def main() -> None:
    parser = argparse.ArgumentParser(description="What measuring costs.")
    parser.add_argument("model")
    parser.add_argument("dataset")
    parser.add_argument("--backend", default="onnxruntime")
    parser.add_argument("--limit", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    plugins = discover()
    resolved = plan.resolve(plugins, options.model, [])
    dataset = samples.load(plugins, options.dataset)
    chosen = selection.select(dataset, resolved.subject.task, limit=options.limit, seed=0)
    order = Order(resolved.subject, options.backend)
    child = Child()
    child.reply(json.dumps({"do": "open", "order": order.to_dict()}).encode())
    by_hand, reported, requests = [], [], []
    with Pipeline(plugins, resolved.artifacts[0], options.backend, order.options) as pipeline:
        for turn in range(options.rounds + 1):
            for index, (sample, name) in enumerate(zip(chosen.samples, chosen.names, strict=True)):
                first = bare(pipeline, sample.image, name) if (index + turn) % 2 else 0.0
                request, its = asked(child, sample.image, name)
                one = first or bare(pipeline, sample.image, name)
                if turn:  # the first round warms up
                    by_hand.append(one)
                    reported.append(its)
                    requests.append(request)
    child.close()
    print(f"{len(by_hand)} calls of {options.model} on {options.backend}, median {np.median(by_hand):.2f} ms bare")
    print(f"reported / bare      {ratio(reported, by_hand)}")
    print(f"request / reported   {ratio(requests, reported)}")


if __name__ == "__main__":
    main()
