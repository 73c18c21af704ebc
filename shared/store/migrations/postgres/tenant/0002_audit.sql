-- The tenant's audit log. A row is written without a place, by the transaction of the write that it is about; a place in
-- the tree it gets a moment later, in a batch. What was erased has no sealed content any more; its leaf stays.
CREATE TABLE mcp_audit_row (
    tenant TEXT NOT NULL DEFAULT guard.tenant(),
    id BYTEA NOT NULL,
    place BIGINT,
    leaf BYTEA NOT NULL,
    sealed BYTEA,
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX mcp_audit_row_by_place ON mcp_audit_row (tenant, place);
CREATE INDEX mcp_audit_row_waiting ON mcp_audit_row (tenant, id) WHERE place IS NULL;

-- The tree over the leaves, as tiles of up to 256 hashes (C2SP tlog-tiles).
CREATE TABLE mcp_audit_tile (
    tenant TEXT NOT NULL DEFAULT guard.tenant(),
    level BIGINT NOT NULL,
    number BIGINT NOT NULL,
    hashes BYTEA NOT NULL,
    PRIMARY KEY (tenant, level, number)
);

-- What was signed last.
CREATE TABLE mcp_audit_head (
    tenant TEXT NOT NULL DEFAULT guard.tenant(),
    name TEXT NOT NULL,
    size BIGINT NOT NULL,
    checkpoint TEXT NOT NULL,
    PRIMARY KEY (tenant, name)
);
