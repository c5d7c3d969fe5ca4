"""Runs a command and tells the hub all of it: its output, its progress, its end. The engine of `adohub exec`.

Rooms, each importing only what stands before it: `progress` (lines to percentages), `pace` (how often to say
so), `signals`, `terminal`, `process` (the command), `spool` (the queue to the hub), `report` (the events),
`execution`.
"""

from adohub.runner.execution import run
from adohub.runner.progress import compile_regex

__all__ = ["compile_regex", "run"]
