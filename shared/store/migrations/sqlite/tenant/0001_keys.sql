-- The tenant's own keys, wrapped by a key that no database holds: 'data' seals columns, 'index' makes blind terms.
CREATE TABLE mcp_tenant_key (
    purpose TEXT NOT NULL,
    version INTEGER NOT NULL,
    wrapped BLOB NOT NULL,
    created INTEGER NOT NULL,
    PRIMARY KEY (purpose, version)
) STRICT;

-- How far the re-sealing of a table under a new data key has come.
CREATE TABLE mcp_reseal (
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    last BLOB,
    done INTEGER NOT NULL,
    PRIMARY KEY (name)
) STRICT;
