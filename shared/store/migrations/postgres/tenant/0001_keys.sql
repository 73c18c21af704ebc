-- The tenants' own keys, wrapped by keys that no database holds: 'data' seals columns, 'index' makes blind terms.
CREATE TABLE mcp_tenant_key (
    tenant TEXT NOT NULL DEFAULT guard.tenant(),
    purpose TEXT NOT NULL,
    version BIGINT NOT NULL,
    wrapped BYTEA NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (tenant, purpose, version)
);

-- How far the re-sealing of a table under a new data key has come.
CREATE TABLE mcp_reseal (
    tenant TEXT NOT NULL DEFAULT guard.tenant(),
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    rows BIGINT NOT NULL,
    last BYTEA,
    done BIGINT NOT NULL,
    PRIMARY KEY (tenant, name)
);
