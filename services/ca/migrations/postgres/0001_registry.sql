-- Join tokens, by the SHA-256 of their secret; the secret itself is nowhere.
CREATE TABLE join_tokens (
    secret_sha256 BYTEA NOT NULL PRIMARY KEY CHECK (octet_length(secret_sha256) = 32),
    service TEXT COLLATE "C" NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    -- When it was used; a token is used once.
    used BIGINT
);

-- Every certificate that was handed out. Rows are added and never changed.
CREATE TABLE certificates (
    serial BYTEA NOT NULL PRIMARY KEY CHECK (octet_length(serial) = 16),
    id TEXT COLLATE "C" NOT NULL,
    -- What showed that the asker is `id`: 'join_token', 'certificate' or 'ca'.
    attestation TEXT COLLATE "C" NOT NULL,
    -- SHA-256 of that join token's secret, or of that certificate.
    evidence_sha256 BYTEA CHECK (octet_length(evidence_sha256) = 32),
    issued BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    not_after BIGINT NOT NULL,
    public_key_sha256 BYTEA NOT NULL CHECK (octet_length(public_key_sha256) = 32),
    certificate_sha256 BYTEA NOT NULL CHECK (octet_length(certificate_sha256) = 32)
);

CREATE INDEX certificates_of_an_id ON certificates (id, issued);
