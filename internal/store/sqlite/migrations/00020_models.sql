-- +goose Up

CREATE TABLE model_files ( -- Which stores have the files of checkpoints.
    experiment_id            UUID TEXT NOT NULL REFERENCES experiments (id) ON DELETE CASCADE, -- The experiment that the checkpoint belongs to.
    model_hash               TEXT NOT NULL, -- SHA-256 of the file in hexadecimal.
    location                 TEXT NOT NULL, -- Which store, without secrets.
    size_bytes               INTEGER NOT NULL, -- Size of the file. [bytes]
    stored_at                TIMESTAMP TEXT NOT NULL, -- When the store confirmed it.
    verified_at              TIMESTAMP TEXT, -- When its content was last read and had its hash; null: never.
    PRIMARY KEY (experiment_id, model_hash, location)
) WITHOUT ROWID;
CREATE INDEX idx_model_files_hash ON model_files (model_hash, location);

CREATE TABLE model_promotions ( -- Who gave which checkpoint which stage, and when: only added to. Of a name and stage the latest holds.
    id                       UUID TEXT PRIMARY KEY NOT NULL, -- UUID.
    name                     TEXT NOT NULL, -- Name of the model as it is deployed.
    stage                    TEXT NOT NULL CHECK (stage IN ('candidate', 'staging', 'production')), -- candidate, staging or production.
    experiment_id            UUID TEXT NOT NULL REFERENCES experiments (id) ON DELETE CASCADE, -- The experiment of the checkpoint.
    checkpoint_id            UUID TEXT NOT NULL, -- The checkpoint.
    model_hash               TEXT NOT NULL, -- SHA-256 of its file in hexadecimal.
    set_at                   TIMESTAMP TEXT NOT NULL, -- When.
    set_by                   TEXT NOT NULL, -- Who, as user@host.
    reason                   TEXT NOT NULL, -- Why, in words.
    evidence                 JSON TEXT -- What it was decided on.
);
CREATE INDEX idx_promotions_name ON model_promotions (name, stage, set_at);
CREATE INDEX idx_promotions_experiment ON model_promotions (experiment_id);

-- As experiments_deleted, for rows that a connection without foreign keys would leave.
-- +goose StatementBegin
CREATE TRIGGER experiments_deleted_models AFTER DELETE ON experiments BEGIN
    DELETE FROM model_files WHERE experiment_id = OLD.id;
    DELETE FROM model_promotions WHERE experiment_id = OLD.id;
END;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER experiments_deleted_models;
DROP TABLE model_promotions;
DROP TABLE model_files;
