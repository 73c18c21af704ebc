-- What members and tenants are called is sealed. A member is found by a hash of the name that needs the tenant's key.
-- What was in the clear goes: no program was released that wrote it.
DROP TABLE members;
CREATE TABLE members (
    name_hash BLOB    NOT NULL PRIMARY KEY CHECK (length(name_hash) = 32),
    name      BLOB    NOT NULL, -- sealed
    role      TEXT    NOT NULL CHECK (role IN ('viewer', 'editor', 'admin', 'owner')),
    created   INTEGER NOT NULL  -- milliseconds since the epoch
) STRICT, WITHOUT ROWID;

-- The tenant itself: the row that the platform's own table names. One that it does not name was left by whoever lost
-- a race for the slug, or by a kill.
CREATE TABLE profiles (
    id           BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    display_name BLOB NOT NULL, -- sealed
    founder      BLOB           -- sealed: the first owner, until that user is among the members
) STRICT, WITHOUT ROWID;
