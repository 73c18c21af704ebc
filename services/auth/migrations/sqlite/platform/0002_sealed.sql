-- What a tenant is called lies sealed among its own rows, and who founded it too.
-- What was in the clear goes: no program was released that wrote it.
DROP TABLE tenants;
CREATE TABLE tenants (
    slug    TEXT    NOT NULL PRIMARY KEY, -- a row is never deleted, so that a slug is never given twice
    created INTEGER NOT NULL,             -- milliseconds since the epoch
    profile BLOB    NOT NULL,             -- which row of the tenant's own `profiles` is the tenant's
    settled INTEGER NOT NULL              -- 0 until the founder is among the members
) STRICT, WITHOUT ROWID;

-- Asked at every start; as good as always empty.
CREATE INDEX tenants_unsettled ON tenants (slug) WHERE settled = 0;
