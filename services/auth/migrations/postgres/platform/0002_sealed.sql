-- What a tenant is called lies sealed among its own rows, and who founded it too.
-- What was in the clear goes: no program was released that wrote it.
DROP TABLE tenants;
CREATE TABLE tenants (
    slug    TEXT COLLATE "C" NOT NULL PRIMARY KEY, -- a row is never deleted, so that a slug is never given twice
    created BIGINT           NOT NULL,             -- milliseconds since the epoch
    profile BYTEA            NOT NULL,             -- which row of the tenant's own `profiles` is the tenant's
    settled BIGINT           NOT NULL              -- 0 until the founder is among the members
);

-- Asked at every start; as good as always empty.
CREATE INDEX tenants_unsettled ON tenants (slug) WHERE settled = 0;
