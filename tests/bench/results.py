"""What was measured, and what it comes to: medians of figures, and of ratios within one round."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

from attrs import define, field

Round = dict[tuple[str, str], Mapping[str, float]]
"""Figures by scenario and peer."""

Place = tuple[str, str, str]
"""Scenario, peer and figure."""


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
        return self.compared((scenario, peer, figure), (scenario, to, figure))

    def growth(self, scenario: str, peer: str, figure: str, since: str) -> float | None:
        """How a figure compares to another of the same peer in the same round."""
        return self.compared((scenario, peer, figure), (scenario, peer, since))

    def compared(self, one: Place, to: Place) -> float | None:
        """How the figure in one place compares to that in another, in the same round."""
        pairs = [(_taken(each, one), _taken(each, to)) for each in self.rounds]
        ratios = [ours / theirs for ours, theirs in pairs if ours is not None and theirs]
        return median(ratios) if ratios else None


def _taken(figures: Round, place: Place) -> float | None:
    scenario, peer, figure = place
    found = figures.get((scenario, peer))
    return None if found is None else found[figure]
