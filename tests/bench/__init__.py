"""adohub beside what it replaces, what it competes with, and the limit: `python -m tests.bench --help`."""
