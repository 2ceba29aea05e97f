-- +goose Up
CREATE TABLE api_tokens (
    id                       uuid PRIMARY KEY,
    name                     text NOT NULL,
    token_hash               text NOT NULL UNIQUE CHECK (length(token_hash) = 64),
    scopes                   text NOT NULL CHECK (scopes IN ('read', 'record', 'read,record')),
    experiments              text NOT NULL DEFAULT '*',
    user_id                  uuid,
    created_at               timestamptz NOT NULL,
    expires_at               timestamptz NOT NULL,
    revoked_at               timestamptz,
    last_used_at             timestamptz
);
COMMENT ON TABLE api_tokens IS 'Tokens with which trainers and people reach a Greenwave server. The tokens themselves are nowhere.';
COMMENT ON COLUMN api_tokens.id IS 'UUID.';
COMMENT ON COLUMN api_tokens.name IS 'What it is for, in the words of who made it.';
COMMENT ON COLUMN api_tokens.token_hash IS 'SHA-256 of the token in hexadecimal.';
COMMENT ON COLUMN api_tokens.scopes IS 'read, record, or both with a comma between them.';
COMMENT ON COLUMN api_tokens.experiments IS 'Names of experiments that it is good for; * stands for any text.';
COMMENT ON COLUMN api_tokens.user_id IS 'The user as whom it acts; null: the server.';
COMMENT ON COLUMN api_tokens.created_at IS 'When it was made.';
COMMENT ON COLUMN api_tokens.expires_at IS 'When it ends by itself.';
COMMENT ON COLUMN api_tokens.revoked_at IS 'When it was revoked; null when it was not.';
COMMENT ON COLUMN api_tokens.last_used_at IS 'When it was last used, to the minute.';
SELECT greenwave_protect('api_tokens', 'private');

-- +goose Down
DROP TABLE api_tokens;
