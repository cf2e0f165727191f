"""REST under `/api/v1`: one file per resource, answers in JSON, errors as problem details (RFC 9457).

A resource is a module with a list `ROUTES`; it is there once it is named in `resources.RESOURCES`. Who asks
is found out in `authentication`, once for all of them.
"""
