-- What members and tenants are called is sealed. A member is found by a hash of the name that needs the tenant's key.
-- What was in the clear goes: no program was released that wrote it.
DROP TABLE members;
CREATE TABLE members (
    tenant    TEXT COLLATE "C" NOT NULL DEFAULT guard.tenant(),
    name_hash BYTEA            NOT NULL CHECK (octet_length(name_hash) = 32),
    name      BYTEA            NOT NULL, -- sealed
    role      TEXT             NOT NULL CHECK (role IN ('viewer', 'editor', 'admin', 'owner')),
    created   BIGINT           NOT NULL, -- milliseconds since the epoch
    PRIMARY KEY (tenant, name_hash)
);

-- The tenant itself: the row that the platform's own table names. One that it does not name was left by whoever lost
-- a race for the slug, or by a kill.
CREATE TABLE profiles (
    tenant       TEXT COLLATE "C" NOT NULL DEFAULT guard.tenant(),
    id           BYTEA            NOT NULL CHECK (octet_length(id) = 16),
    display_name BYTEA            NOT NULL, -- sealed
    founder      BYTEA,                     -- sealed: the first owner, until that user is among the members
    PRIMARY KEY (tenant, id)
);
