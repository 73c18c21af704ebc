-- Contexts and their messages. One file holds one tenant, so no row names it.
--
-- Times are milliseconds since the Unix epoch. Long texts stand last in their row: what stands behind them
-- could only be read past them.
CREATE TABLE contexts (
    id            BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    version       INTEGER NOT NULL CHECK (version > 0),
    created       INTEGER NOT NULL,
    updated       INTEGER NOT NULL,
    message_count INTEGER NOT NULL CHECK (message_count >= 0),
    kind          TEXT    NOT NULL,
    title         TEXT    NOT NULL,
    tags          TEXT    NOT NULL, -- a JSON array of strings
    description   TEXT    NOT NULL
) STRICT;

CREATE INDEX contexts_by_age ON contexts (created, id);

-- Appended and never changed; n counts from 1 without gaps.
CREATE TABLE messages (
    context BLOB    NOT NULL REFERENCES contexts (id) ON DELETE CASCADE,
    n       INTEGER NOT NULL CHECK (n > 0),
    role    INTEGER NOT NULL,
    tokens  INTEGER NOT NULL,
    bytes   INTEGER NOT NULL,
    created INTEGER NOT NULL,
    text    TEXT    NOT NULL,
    PRIMARY KEY (context, n)
) STRICT;

-- Windows are planned from sizes alone: without this they would read every page of text.
CREATE INDEX messages_by_size ON messages (context, n, tokens, bytes);

-- What a request ID was answered, so that a repeat gets the same.
CREATE TABLE replies (
    principal  TEXT    NOT NULL,
    method     TEXT    NOT NULL,
    request_id BLOB    NOT NULL CHECK (length(request_id) = 16),
    created    INTEGER NOT NULL,
    body       BLOB    NOT NULL CHECK (length(body) = 32), -- SHA-256 of the request
    answer     TEXT    NOT NULL, -- JSON
    PRIMARY KEY (principal, method, request_id)
) STRICT;

CREATE INDEX replies_by_age ON replies (created);
