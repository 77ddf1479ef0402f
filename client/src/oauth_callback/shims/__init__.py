"""Programs that ask Digi-Key for their tokens themselves, started with the keeper's tokens instead.

    python -m oauth_callback.shims kicost -i bom.csv -o costs.xlsx

A program stays as it is installed: one of its functions is replaced in the running process. Each
module here is for one program, and is imported when this program is started.
"""
