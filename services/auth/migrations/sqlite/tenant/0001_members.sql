-- The members of the one tenant that this file belongs to.
CREATE TABLE members (
    user    TEXT    NOT NULL PRIMARY KEY,
    role    TEXT    NOT NULL CHECK (role IN ('viewer', 'editor', 'admin', 'owner')),
    created INTEGER NOT NULL -- milliseconds since the epoch
) STRICT, WITHOUT ROWID;
