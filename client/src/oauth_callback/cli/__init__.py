"""The command line `oauth-callback`: tokens for programs that run a command or read a file.

A command is a module of `commands`, in the table of `cli.table`. Only tokens and reports go to
stdout, all else to stderr.
"""
