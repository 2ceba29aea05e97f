-- +goose Up
CREATE TABLE api_tokens ( -- Tokens with which trainers and people reach a Greenwave server. The tokens themselves are nowhere.
    id                       UUID TEXT PRIMARY KEY NOT NULL, -- UUID.
    name                     TEXT NOT NULL, -- What it is for, in the words of who made it.
    token_hash               TEXT NOT NULL UNIQUE CHECK (length(token_hash) = 64), -- SHA-256 of the token in hexadecimal.
    scopes                   TEXT NOT NULL CHECK (scopes IN ('read', 'record', 'read,record')), -- read, record, or both with a comma between them.
    experiments              TEXT NOT NULL DEFAULT '*', -- Names of experiments that it is good for; * stands for any text.
    user_id                  UUID TEXT, -- The user as whom it acts; null: the server.
    created_at               TIMESTAMP TEXT NOT NULL, -- When it was made.
    expires_at               TIMESTAMP TEXT NOT NULL, -- When it ends by itself.
    revoked_at               TIMESTAMP TEXT, -- When it was revoked; null when it was not.
    last_used_at             TIMESTAMP TEXT -- When it was last used, to the minute.
);

-- +goose Down
DROP TABLE api_tokens;
