"""Who logs in, with what roles, and from which device.

`tokens` and `keys` check what Keycloak signed, `records` keeps what this server knows of its users,
`devices` what it knows of their devices; `gate` puts them between a request and the documents. `keycloak`
asks Keycloak about its users and `sync` carries the answer into the records.
"""
