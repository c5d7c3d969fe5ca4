"""`python -m adohub` is `adohub`."""

from adohub.cli import main

main()
