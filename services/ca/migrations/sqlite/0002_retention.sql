-- Rows are forgotten some time after the end of what they tell of.
CREATE INDEX join_tokens_by_end ON join_tokens (expires);
CREATE INDEX certificates_by_end ON certificates (not_after);
