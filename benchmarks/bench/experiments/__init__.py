"""The experiments. Each measures some of the keys, in rounds with a turn for every contender."""

from benchmarks.bench.experiments.experiment import Experiment
from benchmarks.bench.experiments.registry import EXPERIMENTS

__all__ = ["EXPERIMENTS", "Experiment"]
