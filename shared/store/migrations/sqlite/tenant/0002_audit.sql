-- The tenant's audit log. A row is written without a place, by the transaction of the write that it is about; a place in
-- the tree it gets a moment later, in a batch. What was erased has no sealed content any more; its leaf stays.
CREATE TABLE mcp_audit_row (
    id BLOB NOT NULL,
    place INTEGER,
    leaf BLOB NOT NULL,
    sealed BLOB,
    PRIMARY KEY (id)
) STRICT;
CREATE UNIQUE INDEX mcp_audit_row_by_place ON mcp_audit_row (place);
CREATE INDEX mcp_audit_row_waiting ON mcp_audit_row (id) WHERE place IS NULL;

-- The tree over the leaves, as tiles of up to 256 hashes (C2SP tlog-tiles).
CREATE TABLE mcp_audit_tile (
    level INTEGER NOT NULL,
    number INTEGER NOT NULL,
    hashes BLOB NOT NULL,
    PRIMARY KEY (level, number)
) STRICT;

-- What was signed last.
CREATE TABLE mcp_audit_head (
    name TEXT NOT NULL,
    size INTEGER NOT NULL,
    checkpoint TEXT NOT NULL,
    PRIMARY KEY (name)
) STRICT;
