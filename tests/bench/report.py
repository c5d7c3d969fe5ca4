"""Results for people and for programs: two tables, or one JSON object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import asdict, frozen
from rich.console import Console, Group
from rich.table import Table

from tests.bench.goals import GOALS, Goal, Verdict
from tests.bench.peers import Peer
from tests.bench.plan import Plan
from tests.bench.results import Results
from tests.bench.rig import Scenario

COLOURS = {Verdict.STRETCH: "bold green", Verdict.OK: "green", Verdict.SHORT: "red", Verdict.UNKNOWN: "dim"}


@frozen
class Report:
    """A run: what was measured of whom, on what."""

    plan: Plan
    peers: Sequence[Peer]
    scenarios: Sequence[Scenario]
    results: Results
    about: Mapping[str, str]
    remarks: Sequence[str]

    def print(self, console: Console) -> None:
        """Write the tables to a terminal."""
        about = [f"{what}: {value}" for what, value in self.about.items()]
        notes = [f"note: {text}" for text in (*self.remarks, *self.results.faults)]
        console.print(Group(*about, self._figures(), self._goals(), *notes), highlight=False)

    def _figures(self) -> Table:
        table = Table(title="Figures, medians", title_justify="left")
        table.add_column("")
        for peer in self.peers:
            table.add_column(peer.name, justify="right")
        for scenario in self.scenarios:
            table.add_section()
            table.add_row(f"[bold]{scenario.name}[/bold] {scenario.title}")
            for figure, unit in scenario.units.items():
                values = [self.results.median(scenario.name, peer.name, figure) for peer in self.peers]
                table.add_row(f"  {figure}", *(_worded(value, unit) for value in values))
        return table

    def _goals(self) -> Table:
        table = Table("adohub's", "goal", "stretch", "measured", "", title="Goals", title_justify="left")
        for goal in GOALS:
            value = goal.measure(self.results)
            verdict = goal.verdict(value)
            table.add_row(
                goal.what,
                _bound(goal, goal.bound),
                _bound(goal, goal.stretch),
                _worded(value, goal.unit),
                f"[{COLOURS[verdict]}]{verdict.value}",
            )
        return table

    def as_markdown(self) -> str:
        """The same tables for a page of documentation."""
        lines = [f"- {what}: {value}" for what, value in self.about.items() if not what.startswith("load ")]
        lines += [
            "",
            _markdown_row("", *(peer.name for peer in self.peers)),
            "| --- |" + " ---: |" * len(self.peers),
        ]
        for scenario in self.scenarios:
            lines.append(_markdown_row(f"**{scenario.title}**", *[""] * len(self.peers)))
            for figure, unit in scenario.units.items():
                values = [self.results.median(scenario.name, peer.name, figure) for peer in self.peers]
                lines.append(_markdown_row(figure, *(_worded(value, unit) for value in values)))
        lines += ["", "| adohub's | goal | stretch | measured | |", "| --- | --- | --- | ---: | --- |"]
        for goal in GOALS:
            value = goal.measure(self.results)
            bounds = _bound(goal, goal.bound), _bound(goal, goal.stretch)
            lines.append(
                _markdown_row(goal.what, *bounds, _worded(value, goal.unit), goal.verdict(value).value)
            )
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """All that was measured, ready for JSON."""
        return {
            "about": dict(self.about),
            "plan": asdict(self.plan),
            "medians": {
                scenario.name: {
                    peer.name: {
                        figure: self.results.median(scenario.name, peer.name, figure)
                        for figure in scenario.units
                    }
                    for peer in self.peers
                    if scenario.suits(peer)
                }
                for scenario in self.scenarios
            },
            "goals": [_goal_json(goal, goal.measure(self.results)) for goal in GOALS],
            "rounds": [
                [
                    {"scenario": scenario, "peer": peer, "figures": dict(figures)}
                    for (scenario, peer), figures in each.items()
                ]
                for each in self.results.rounds
            ],
            "remarks": list(self.remarks),
            "faults": self.results.faults,
        }


def _markdown_row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _goal_json(goal: Goal, value: float | None) -> dict[str, Any]:
    return {
        "what": goal.what,
        "at_least" if goal.at_least else "at_most": goal.bound,
        "stretch": goal.stretch,
        "unit": goal.unit,
        "measured": value,
        "verdict": goal.verdict(value).value,
    }


def _bound(goal: Goal, bound: float | None) -> str:
    return "" if bound is None else f"{'≥' if goal.at_least else '≤'} {bound:,.10g} {goal.unit}".rstrip()


def _worded(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    if unit == "%":
        return f"{value:.0%}"
    digits = 0 if abs(value) >= 100 or value == round(value) else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}".rstrip()
