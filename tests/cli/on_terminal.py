"""Becomes PROGRAM on a terminal, as a shell's foreground job: `python on_terminal.py /dev/pts/N PROGRAM…`.

It must have been started as the leader of a session: opening the terminal then makes it the session's own,
and what is typed there as Ctrl-C arrives as SIGINT.
"""

from __future__ import annotations

import os
import signal
import sys

terminal, *program = sys.argv[1:]
opened = os.open(terminal, os.O_RDWR)
for standard in range(3):
    os.dup2(opened, standard)
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(program[0], program)  # noqa: S606 - the program is the test's
