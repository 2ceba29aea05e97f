-- +goose Up

CREATE TABLE model_files (
    experiment_id            uuid NOT NULL,
    model_hash               text NOT NULL,
    location                 text NOT NULL,
    size_bytes               bigint NOT NULL,
    stored_at                timestamptz NOT NULL,
    verified_at              timestamptz,
    created_by               uuid NOT NULL,
    PRIMARY KEY (experiment_id, model_hash, location),
    FOREIGN KEY (experiment_id, created_by) REFERENCES experiments (id, owner) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX idx_model_files_hash ON model_files (model_hash, location);
CREATE INDEX idx_model_files_created_by ON model_files (created_by);
CREATE TRIGGER model_files_owner BEFORE INSERT ON model_files FOR EACH ROW WHEN (NEW.created_by IS NULL) EXECUTE FUNCTION inherit_owner();
COMMENT ON TABLE model_files IS 'Which stores have the files of checkpoints.';
COMMENT ON COLUMN model_files.experiment_id IS 'The experiment that the checkpoint belongs to.';
COMMENT ON COLUMN model_files.model_hash IS 'SHA-256 of the file in hexadecimal.';
COMMENT ON COLUMN model_files.location IS 'Which store, without secrets.';
COMMENT ON COLUMN model_files.size_bytes IS 'Size of the file. [bytes]';
COMMENT ON COLUMN model_files.stored_at IS 'When the store confirmed it.';
COMMENT ON COLUMN model_files.verified_at IS 'When its content was last read and had its hash; null: never.';
COMMENT ON COLUMN model_files.created_by IS 'The owner of the experiment; all zeros where it has none.';

CREATE TABLE model_promotions (
    id                       uuid NOT NULL,
    name                     text NOT NULL,
    stage                    text NOT NULL CHECK (stage IN ('candidate', 'staging', 'production')),
    experiment_id            uuid NOT NULL,
    checkpoint_id            uuid NOT NULL,
    model_hash               text NOT NULL,
    set_at                   timestamptz NOT NULL,
    set_by                   text NOT NULL,
    reason                   text NOT NULL,
    evidence                 jsonb,
    created_by               uuid NOT NULL,
    PRIMARY KEY (experiment_id, id),
    FOREIGN KEY (experiment_id, created_by) REFERENCES experiments (id, owner) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX idx_promotions_name ON model_promotions (name, stage, set_at);
CREATE INDEX idx_promotions_created_by ON model_promotions (created_by);
CREATE TRIGGER model_promotions_owner BEFORE INSERT ON model_promotions FOR EACH ROW WHEN (NEW.created_by IS NULL) EXECUTE FUNCTION inherit_owner();
COMMENT ON TABLE model_promotions IS 'Who gave which checkpoint which stage, and when: only added to. Of a name and stage the latest holds.';
COMMENT ON COLUMN model_promotions.id IS 'UUID.';
COMMENT ON COLUMN model_promotions.name IS 'Name of the model as it is deployed.';
COMMENT ON COLUMN model_promotions.stage IS 'candidate, staging or production.';
COMMENT ON COLUMN model_promotions.experiment_id IS 'The experiment of the checkpoint.';
COMMENT ON COLUMN model_promotions.checkpoint_id IS 'The checkpoint.';
COMMENT ON COLUMN model_promotions.model_hash IS 'SHA-256 of its file in hexadecimal.';
COMMENT ON COLUMN model_promotions.set_at IS 'When.';
COMMENT ON COLUMN model_promotions.set_by IS 'Who, as user@host.';
COMMENT ON COLUMN model_promotions.reason IS 'Why, in words.';
COMMENT ON COLUMN model_promotions.evidence IS 'What it was decided on.';
COMMENT ON COLUMN model_promotions.created_by IS 'The owner of the experiment; all zeros where it has none.';

SELECT greenwave_protect('model_files', 'record'), greenwave_protect('model_promotions', 'record');

-- +goose Down
DROP TABLE model_promotions;
DROP TABLE model_files;
