-- Contexts, their messages and their history, sealed. One file holds one tenant, so no row names it.
--
-- What development kept before this was in clear, and goes with its tables.
--
-- Times are milliseconds since the Unix epoch. Long values stand last in their row: what stands behind them could only
-- be read past them.
DROP TABLE replies;
DROP TABLE messages;
DROP TABLE contexts;

-- What contexts are. Staged ones are being imported: nobody sees them until all of the import is there.
CREATE TABLE contexts (
    id BLOB NOT NULL CHECK (length(id) = 16),
    version INTEGER NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    expires INTEGER,
    staged BLOB,
    message_count INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    forked_from BLOB,
    forked_count INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    kind TEXT NOT NULL,
    fields BLOB NOT NULL,
    PRIMARY KEY (id)
) STRICT;
CREATE INDEX contexts_by_creation ON contexts (created, id);
CREATE INDEX contexts_by_update ON contexts (updated, id);
CREATE INDEX contexts_by_kind_and_creation ON contexts (kind, created, id);
CREATE INDEX contexts_by_kind_and_update ON contexts (kind, updated, id);
CREATE INDEX contexts_by_end ON contexts (expires) WHERE expires IS NOT NULL;
CREATE INDEX contexts_by_stage ON contexts (staged) WHERE staged IS NOT NULL;

-- Keyed digests of tags.
CREATE TABLE context_tags (
    context BLOB NOT NULL,
    tag BLOB NOT NULL,
    PRIMARY KEY (context, tag),
    FOREIGN KEY (context) REFERENCES contexts (id) ON DELETE CASCADE
) STRICT;
CREATE INDEX context_tags_by_tag ON context_tags (tag, context);

-- Where messages lie. A context has one of its own with its own ID; one that outlives its context is pruned to what forks share of it.
CREATE TABLE logs (
    id BLOB NOT NULL CHECK (length(id) = 16),
    prune INTEGER NOT NULL,
    PRIMARY KEY (id)
) STRICT;
CREATE INDEX logs_to_prune ON logs (id) WHERE prune = 1;

-- Appended and never changed; n goes on from the last message that a fork shares.
CREATE TABLE messages (
    log BLOB NOT NULL,
    n INTEGER NOT NULL,
    role INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    pinned INTEGER NOT NULL,
    created INTEGER NOT NULL,
    text BLOB NOT NULL,
    PRIMARY KEY (log, n),
    FOREIGN KEY (log) REFERENCES logs (id) ON DELETE CASCADE
) STRICT;
CREATE INDEX messages_by_size ON messages (log, n, tokens, bytes);
CREATE INDEX messages_pinned ON messages (log, n) WHERE pinned = 1;

-- Whose messages a fork begins with: those up to last_n that no row before it covers are in that log. The log stays for as long as a fork needs it.
CREATE TABLE lineage (
    context BLOB NOT NULL,
    last_n INTEGER NOT NULL,
    log BLOB NOT NULL,
    PRIMARY KEY (context, last_n),
    FOREIGN KEY (context) REFERENCES contexts (id) ON DELETE CASCADE,
    FOREIGN KEY (log) REFERENCES logs (id)
) STRICT;
CREATE INDEX lineage_by_log ON lineage (log, last_n, context);

-- What contexts were.
CREATE TABLE revisions (
    context BLOB NOT NULL,
    version INTEGER NOT NULL,
    at INTEGER NOT NULL,
    expires INTEGER,
    message_count INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    kind TEXT NOT NULL,
    fields BLOB NOT NULL,
    PRIMARY KEY (context, version),
    FOREIGN KEY (context) REFERENCES contexts (id) ON DELETE CASCADE
) STRICT;

-- What happened to contexts: 1 updated, 2 messages appended.
CREATE TABLE changes (
    context BLOB NOT NULL,
    version INTEGER NOT NULL,
    what INTEGER NOT NULL,
    first_n INTEGER NOT NULL,
    last_n INTEGER NOT NULL,
    PRIMARY KEY (context, version),
    FOREIGN KEY (context) REFERENCES contexts (id) ON DELETE CASCADE
) STRICT;

-- What a request ID was answered, so that a repeat gets the same. The body is the SHA-256 of the request.
CREATE TABLE replies (
    asker BLOB NOT NULL,
    method TEXT NOT NULL,
    request_id BLOB NOT NULL CHECK (length(request_id) = 16),
    created INTEGER NOT NULL,
    body BLOB NOT NULL,
    answer BLOB NOT NULL,
    PRIMARY KEY (asker, method, request_id)
) STRICT;
CREATE INDEX replies_by_age ON replies (created);

-- How much the tenant holds: the sum of the rows, several so that writers do not wait for each other.
CREATE TABLE usage (
    shard INTEGER NOT NULL,
    contexts INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (shard)
) STRICT;
