-- A blind index. Terms are numbers that only the holder of the tenant's index key can make.

-- Sums over the documents; several rows, so that two writers seldom wait for one another.
CREATE TABLE search_lane (
    tenant TEXT NOT NULL DEFAULT guard.tenant(),
    lane BIGINT NOT NULL,
    documents BIGINT NOT NULL,
    length BIGINT NOT NULL,
    -- The last number given to a document here: each once, the newer the higher.
    given BIGINT NOT NULL,
    -- Under which key.
    mark BIGINT NOT NULL,
    PRIMARY KEY (tenant, lane)
) WITH (fillfactor = 50);

-- How many documents are in which language. Changed only by who has changed the lane before, and so never waited for.
CREATE TABLE search_language (
    tenant TEXT NOT NULL DEFAULT guard.tenant(),
    lane BIGINT NOT NULL,
    language BIGINT NOT NULL,
    documents BIGINT NOT NULL,
    PRIMARY KEY (tenant, lane, language)
) WITH (fillfactor = 50);

CREATE TABLE search_document (
    tenant TEXT NOT NULL DEFAULT guard.tenant(),
    doc BIGINT NOT NULL,
    name BYTEA NOT NULL,
    collection BYTEA NOT NULL,
    made BIGINT NOT NULL,
    language BIGINT NOT NULL,
    length BIGINT NOT NULL,
    -- The terms of its postings, five bytes each: to take them out again.
    terms BYTEA NOT NULL,
    PRIMARY KEY (tenant, doc),
    UNIQUE (tenant, name)
);

CREATE INDEX search_document_by_collection ON search_document (tenant, collection, doc);

CREATE TABLE search_posting (
    tenant TEXT NOT NULL DEFAULT guard.tenant(),
    term BIGINT NOT NULL,
    doc BIGINT NOT NULL,
    -- How often and where, hidden. Included, so that a search reads the key alone.
    load BIGINT NOT NULL,
    PRIMARY KEY (tenant, term, doc) INCLUDE (load)
);

CREATE TABLE search_facet (
    tenant TEXT NOT NULL DEFAULT guard.tenant(),
    collection BYTEA NOT NULL,
    facet BIGINT NOT NULL,
    PRIMARY KEY (tenant, collection, facet)
);
