-- What windows are made of besides messages: how long segments are, and their summaries.
--
-- A segment is a run of messages, and messages never change: what was once measured or summarised stays so.

-- How long a segment's messages are, those that are pinned left out.
CREATE TABLE segments (
    context BLOB NOT NULL,
    first_n INTEGER NOT NULL,
    last_n INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (context, first_n, last_n),
    FOREIGN KEY (context) REFERENCES contexts (id) ON DELETE CASCADE
) STRICT;

-- Summaries. The maker is the SHA-256 of all that a summary depends on besides what was said: engine, model, prompt,
-- parameters, tokenizer. The digest of what was said is sealed with the text: of a short text it would give the text away.
CREATE TABLE summaries (
    context BLOB NOT NULL,
    first_n INTEGER NOT NULL,
    last_n INTEGER NOT NULL,
    maker BLOB NOT NULL CHECK (length(maker) = 32),
    tokens INTEGER NOT NULL,
    summary BLOB NOT NULL,
    PRIMARY KEY (context, first_n, last_n, maker),
    FOREIGN KEY (context) REFERENCES contexts (id) ON DELETE CASCADE
) STRICT;
