"""The commands. Each module has `add_arguments(parser)` and `run(parser, arguments)`.

`run` returns the exit code. It may raise KeeperError, CommandFailed, OSError and SystemExit, which
`cli.main` reports.
"""
