"""What was measured, and what it comes to: medians of figures, and of ratios within one round."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

from attrs import define, field

Round = dict[tuple[str, str], Mapping[str, float]]
"""Figures by scenario and peer."""


@define
class Results:
    """All rounds so far. `faults` says which measurements could not be made, and why."""

    rounds: list[Round] = field(factory=list)
    faults: list[str] = field(factory=list)

    def median(self, scenario: str, peer: str, figure: str) -> float | None:
        """A figure over all rounds in which it was taken; None if in none."""
        values = [
            figures[figure] for each in self.rounds if (figures := each.get((scenario, peer))) is not None
        ]
        return median(values) if values else None

    def ratio(self, scenario: str, figure: str, peer: str, to: str) -> float | None:
        """How a figure of one peer compares to another's in the same round."""
        pairs = [(each.get((scenario, peer)), each.get((scenario, to))) for each in self.rounds]
        ratios = [
            ours[figure] / theirs[figure] for ours, theirs in pairs if ours and theirs and theirs[figure]
        ]
        return median(ratios) if ratios else None

    def growth(self, scenario: str, peer: str, figure: str, since: str) -> float | None:
        """How a figure compares to another of the same peer in the same round."""
        taken = [figures for each in self.rounds if (figures := each.get((scenario, peer)))]
        ratios = [figures[figure] / figures[since] for figures in taken if figures[since]]
        return median(ratios) if ratios else None
