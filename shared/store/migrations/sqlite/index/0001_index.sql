-- A blind index. Terms are numbers that only the holder of the tenant's index key can make.

-- Sums over the documents; several rows, so that two writers seldom wait for one another.
CREATE TABLE search_lane (
    lane INTEGER PRIMARY KEY,
    documents INTEGER NOT NULL,
    length INTEGER NOT NULL,
    -- The last number given to a document here: each once, the newer the higher.
    given INTEGER NOT NULL,
    -- Under which key.
    mark INTEGER NOT NULL
) STRICT;

-- How many documents are in which language. Changed only by who has changed the lane before, and so never waited for.
CREATE TABLE search_language (
    lane INTEGER NOT NULL,
    language INTEGER NOT NULL,
    documents INTEGER NOT NULL,
    PRIMARY KEY (lane, language)
) STRICT, WITHOUT ROWID;

CREATE TABLE search_document (
    doc INTEGER PRIMARY KEY,
    name BLOB NOT NULL UNIQUE,
    collection BLOB NOT NULL,
    made INTEGER NOT NULL,
    language INTEGER NOT NULL,
    length INTEGER NOT NULL,
    -- The terms of its postings, five bytes each: to take them out again.
    terms BLOB NOT NULL
) STRICT;

CREATE INDEX search_document_by_collection ON search_document (collection, doc);

CREATE TABLE search_posting (
    term INTEGER NOT NULL,
    doc INTEGER NOT NULL,
    -- How often and where, hidden.
    load INTEGER NOT NULL,
    PRIMARY KEY (term, doc)
) STRICT, WITHOUT ROWID;

CREATE TABLE search_facet (
    collection BLOB NOT NULL,
    facet INTEGER NOT NULL,
    PRIMARY KEY (collection, facet)
) STRICT, WITHOUT ROWID;
