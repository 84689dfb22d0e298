"""Two models on two backends, compared picture by picture: A alone is the reference, B answers in batches of all sizes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrdeploy import batching
from ocrdeploy.errors import BadInput, OcrdError
from ocrdeploy.pipeline import Pipeline
from ocrdeploy.plugins import Plugins
from ocrdeploy.verification import bisection, report, specs, tasks, tolerance, windows
from ocrdeploy.verification.pictures import Gallery, Origin, Size, Specimen
from ocrdeploy.verification.report import Contender, Difference, Evidence, Report
from ocrdeploy.verification.tensors import Deviation, Tally, deviation
from ocrdeploy.verification.tolerance import Tolerance
from ocrdeploy.vocabulary import Artifact, Batch, InferOptions, Pixels, Prediction, Region, Tensors

BATCHES = (1, 2, 3, 5)
"""The numbers of rows in which B answers."""

MAX_BATCH_AREA = 2**23
"""The most pixels that the tensor of a batch of several rows may have, so that a detector's layers fit into memory."""
