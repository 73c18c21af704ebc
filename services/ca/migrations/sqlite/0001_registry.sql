-- Join tokens, by the SHA-256 of their secret; the secret itself is nowhere.
CREATE TABLE join_tokens (
    secret_sha256 BLOB PRIMARY KEY NOT NULL CHECK (length(secret_sha256) = 32),
    service TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    -- When it was used; a token is used once.
    used INTEGER
) STRICT, WITHOUT ROWID;

-- Every certificate that was handed out. Rows are added and never changed.
CREATE TABLE certificates (
    serial BLOB PRIMARY KEY NOT NULL CHECK (length(serial) = 16),
    id TEXT NOT NULL,
    -- What showed that the asker is `id`: 'join_token', 'certificate' or 'ca'.
    attestation TEXT NOT NULL,
    -- SHA-256 of that join token's secret, or of that certificate.
    evidence_sha256 BLOB CHECK (length(evidence_sha256) = 32),
    issued INTEGER NOT NULL,
    not_before INTEGER NOT NULL,
    not_after INTEGER NOT NULL,
    public_key_sha256 BLOB NOT NULL CHECK (length(public_key_sha256) = 32),
    certificate_sha256 BLOB NOT NULL CHECK (length(certificate_sha256) = 32)
) STRICT, WITHOUT ROWID;

CREATE INDEX certificates_of_an_id ON certificates (id, issued);
