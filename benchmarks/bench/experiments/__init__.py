"""The experiments: each measures some of the keys, in rounds in which every side has its turn."""

from benchmarks.bench.experiments.experiment import Experiment
from benchmarks.bench.experiments.registry import EXPERIMENTS

__all__ = ["EXPERIMENTS", "Experiment"]
