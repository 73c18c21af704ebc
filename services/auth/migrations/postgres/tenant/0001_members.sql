-- The members of each tenant.
CREATE TABLE members (
    tenant  TEXT COLLATE "C" NOT NULL DEFAULT guard.tenant(),
    "user"  TEXT COLLATE "C" NOT NULL,
    role    TEXT             NOT NULL CHECK (role IN ('viewer', 'editor', 'admin', 'owner')),
    created BIGINT           NOT NULL, -- milliseconds since the epoch
    PRIMARY KEY (tenant, "user")
);
