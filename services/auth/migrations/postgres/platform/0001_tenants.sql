-- Tenants. A row is never deleted, so that a slug is never given twice.
CREATE TABLE tenants (
    slug         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    display_name TEXT             NOT NULL,
    created      BIGINT           NOT NULL, -- milliseconds since the epoch
    founder      TEXT                       -- the first owner, until that user is among the members
);

-- Asked at every start; as good as always empty.
CREATE INDEX tenants_unsettled ON tenants (slug) WHERE founder IS NOT NULL;

-- The version that services were last told of the access state, and what it was.
CREATE TABLE access_state (
    only_row BIGINT NOT NULL PRIMARY KEY CHECK (only_row = 1),
    version  BIGINT NOT NULL,
    digest   BYTEA  NOT NULL
);
