-- What windows are made of besides messages: how long segments are, and their summaries.
--
-- A segment is a run of messages, and messages never change: what was once measured or summarised stays so.

-- How long a segment's messages are, those that are pinned left out.
CREATE TABLE segments (
    tenant TEXT NOT NULL DEFAULT guard.tenant(),
    context BYTEA NOT NULL,
    first_n BIGINT NOT NULL,
    last_n BIGINT NOT NULL,
    messages BIGINT NOT NULL,
    tokens BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    PRIMARY KEY (tenant, context, first_n, last_n),
    FOREIGN KEY (tenant, context) REFERENCES contexts (tenant, id) ON DELETE CASCADE
);

-- Summaries. The maker is the SHA-256 of all that a summary depends on besides what was said: engine, model, prompt,
-- parameters, tokenizer. The digest of what was said is sealed with the text: of a short text it would give the text away.
CREATE TABLE summaries (
    tenant TEXT NOT NULL DEFAULT guard.tenant(),
    context BYTEA NOT NULL,
    first_n BIGINT NOT NULL,
    last_n BIGINT NOT NULL,
    maker BYTEA NOT NULL CHECK (length(maker) = 32),
    tokens BIGINT NOT NULL,
    summary BYTEA NOT NULL,
    PRIMARY KEY (tenant, context, first_n, last_n, maker),
    FOREIGN KEY (tenant, context) REFERENCES contexts (tenant, id) ON DELETE CASCADE
);
