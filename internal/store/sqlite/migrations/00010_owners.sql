-- +goose Up
-- The columns and the table by which PostgreSQL tells whose a row is, so that a query
-- runs on both. In a file everybody who can read it reads all of it: here they are null.

ALTER TABLE experiments ADD COLUMN owner UUID TEXT GENERATED ALWAYS AS (coalesce(created_by, '00000000-0000-0000-0000-000000000000')) VIRTUAL;
ALTER TABLE training_runs ADD COLUMN created_by UUID TEXT;
ALTER TABLE dead_letters ADD COLUMN experiment_id UUID TEXT;
ALTER TABLE dead_letters ADD COLUMN created_by UUID TEXT;
ALTER TABLE training_episodes ADD COLUMN created_by UUID TEXT;
ALTER TABLE training_steps ADD COLUMN created_by UUID TEXT;
ALTER TABLE model_checkpoints ADD COLUMN created_by UUID TEXT;
ALTER TABLE validation_results ADD COLUMN created_by UUID TEXT;
ALTER TABLE baseline_comparisons ADD COLUMN created_by UUID TEXT;
ALTER TABLE run_resources ADD COLUMN created_by UUID TEXT;
ALTER TABLE alerts ADD COLUMN created_by UUID TEXT;

CREATE TABLE experiment_members ( -- With whom experiments are shared.
    experiment_id            UUID TEXT NOT NULL REFERENCES experiments (id) ON DELETE CASCADE, -- The experiment.
    user_id                  UUID TEXT NOT NULL, -- Who may see it.
    role                     TEXT NOT NULL CHECK (role IN ('read', 'write')), -- read, or write: record under it and change it, but neither delete it nor share it on.
    created_at               TIMESTAMP TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')), -- When it was shared.
    created_by               UUID TEXT, -- The owner of the experiment.
    PRIMARY KEY (experiment_id, user_id)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE experiment_members;
ALTER TABLE alerts DROP COLUMN created_by;
ALTER TABLE run_resources DROP COLUMN created_by;
ALTER TABLE baseline_comparisons DROP COLUMN created_by;
ALTER TABLE validation_results DROP COLUMN created_by;
ALTER TABLE model_checkpoints DROP COLUMN created_by;
ALTER TABLE training_steps DROP COLUMN created_by;
ALTER TABLE training_episodes DROP COLUMN created_by;
ALTER TABLE dead_letters DROP COLUMN created_by;
ALTER TABLE dead_letters DROP COLUMN experiment_id;
ALTER TABLE training_runs DROP COLUMN created_by;
ALTER TABLE experiments DROP COLUMN owner;
