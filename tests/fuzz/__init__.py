"""Whatever a stranger sends, the hub gives one of the answers that it has promised.

No exception but those that are answers, no hang, and the others are served. `targets` are the hub's readers
as functions of bytes: Hypothesis calls them in `make test`, atheris in `make fuzz`. `test_running_hub` and
`barrage` do the same to hubs that run.
"""
