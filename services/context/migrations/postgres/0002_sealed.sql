-- Contexts, their messages and their history, sealed.
--
-- Times are milliseconds since the Unix epoch.

-- What contexts are. Staged ones are being imported: nobody sees them until all of the import is there.
CREATE TABLE contexts (
    tenant TEXT NOT NULL DEFAULT guard.tenant(),
    id BYTEA NOT NULL CHECK (length(id) = 16),
    version BIGINT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    expires BIGINT,
    staged BYTEA,
    message_count BIGINT NOT NULL,
    tokens BIGINT NOT NULL,
    forked_from BYTEA,
    forked_count BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    kind TEXT NOT NULL,
    fields BYTEA NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX contexts_by_creation ON contexts (tenant, created, id);
CREATE INDEX contexts_by_update ON contexts (tenant, updated, id);
CREATE INDEX contexts_by_kind_and_creation ON contexts (tenant, kind, created, id);
CREATE INDEX contexts_by_kind_and_update ON contexts (tenant, kind, updated, id);
CREATE INDEX contexts_by_end ON contexts (tenant, expires) WHERE expires IS NOT NULL;
CREATE INDEX contexts_by_stage ON contexts (tenant, staged) WHERE staged IS NOT NULL;

-- Keyed digests of tags.
CREATE TABLE context_tags (
    tenant TEXT NOT NULL DEFAULT guard.tenant(),
    context BYTEA NOT NULL,
    tag BYTEA NOT NULL,
    PRIMARY KEY (tenant, context, tag),
    FOREIGN KEY (tenant, context) REFERENCES contexts (tenant, id) ON DELETE CASCADE
);
CREATE INDEX context_tags_by_tag ON context_tags (tenant, tag, context);

-- Where messages lie. A context has one of its own with its own ID; one that outlives its context is pruned to what forks share of it.
CREATE TABLE logs (
    tenant TEXT NOT NULL DEFAULT guard.tenant(),
    id BYTEA NOT NULL CHECK (length(id) = 16),
    prune BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX logs_to_prune ON logs (tenant, id) WHERE prune = 1;

-- Appended and never changed; n goes on from the last message that a fork shares.
CREATE TABLE messages (
    tenant TEXT NOT NULL DEFAULT guard.tenant(),
    log BYTEA NOT NULL,
    n BIGINT NOT NULL,
    role BIGINT NOT NULL,
    tokens BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    pinned BIGINT NOT NULL,
    created BIGINT NOT NULL,
    text BYTEA NOT NULL,
    PRIMARY KEY (tenant, log, n),
    FOREIGN KEY (tenant, log) REFERENCES logs (tenant, id) ON DELETE CASCADE
);
CREATE INDEX messages_by_size ON messages (tenant, log, n, tokens, bytes);
CREATE INDEX messages_pinned ON messages (tenant, log, n) WHERE pinned = 1;

-- Whose messages a fork begins with: those up to last_n that no row before it covers are in that log. The log stays for as long as a fork needs it.
CREATE TABLE lineage (
    tenant TEXT NOT NULL DEFAULT guard.tenant(),
    context BYTEA NOT NULL,
    last_n BIGINT NOT NULL,
    log BYTEA NOT NULL,
    PRIMARY KEY (tenant, context, last_n),
    FOREIGN KEY (tenant, context) REFERENCES contexts (tenant, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant, log) REFERENCES logs (tenant, id)
);
CREATE INDEX lineage_by_log ON lineage (tenant, log, last_n, context);

-- What contexts were.
CREATE TABLE revisions (
    tenant TEXT NOT NULL DEFAULT guard.tenant(),
    context BYTEA NOT NULL,
    version BIGINT NOT NULL,
    at BIGINT NOT NULL,
    expires BIGINT,
    message_count BIGINT NOT NULL,
    tokens BIGINT NOT NULL,
    kind TEXT NOT NULL,
    fields BYTEA NOT NULL,
    PRIMARY KEY (tenant, context, version),
    FOREIGN KEY (tenant, context) REFERENCES contexts (tenant, id) ON DELETE CASCADE
);

-- What happened to contexts: 1 updated, 2 messages appended.
CREATE TABLE changes (
    tenant TEXT NOT NULL DEFAULT guard.tenant(),
    context BYTEA NOT NULL,
    version BIGINT NOT NULL,
    what BIGINT NOT NULL,
    first_n BIGINT NOT NULL,
    last_n BIGINT NOT NULL,
    PRIMARY KEY (tenant, context, version),
    FOREIGN KEY (tenant, context) REFERENCES contexts (tenant, id) ON DELETE CASCADE
);

-- What a request ID was answered, so that a repeat gets the same. The body is the SHA-256 of the request.
CREATE TABLE replies (
    tenant TEXT NOT NULL DEFAULT guard.tenant(),
    asker BYTEA NOT NULL,
    method TEXT NOT NULL,
    request_id BYTEA NOT NULL CHECK (length(request_id) = 16),
    created BIGINT NOT NULL,
    body BYTEA NOT NULL,
    answer BYTEA NOT NULL,
    PRIMARY KEY (tenant, asker, method, request_id)
);
CREATE INDEX replies_by_age ON replies (tenant, created);

-- How much the tenant holds: the sum of the rows, several so that writers do not wait for each other.
CREATE TABLE usage (
    tenant TEXT NOT NULL DEFAULT guard.tenant(),
    shard BIGINT NOT NULL,
    contexts BIGINT NOT NULL,
    messages BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    PRIMARY KEY (tenant, shard)
);
