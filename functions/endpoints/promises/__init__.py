"""The HTTP interface as data: one module an endpoint, and the OpenAPI document made of them.

Only a request for the document imports it: its dataclasses would slow every other cold start.
"""
