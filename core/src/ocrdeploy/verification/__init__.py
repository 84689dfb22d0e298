"""Whether two models on two backends give the same answers: tensors, boxes, text and scores, and how strong the evidence is."""

from ocrdeploy.verification.compare import BATCHES, verify
from ocrdeploy.verification.report import Difference, Evidence, Report, Verdict
from ocrdeploy.verification.side import Candidate
from ocrdeploy.verification.tolerance import Tolerance

__all__ = ["BATCHES", "Candidate", "Difference", "Evidence", "Report", "Tolerance", "Verdict", "verify"]
