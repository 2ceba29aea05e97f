-- +goose Up

CREATE TABLE run_resources ( -- What the process of a run and its host used, every ten seconds.
    id                       UUID TEXT PRIMARY KEY NOT NULL DEFAULT (lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-' || substr('89ab', 1 + abs(random() % 4), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))), -- UUID; derives from run and sequence number.
    experiment_id            UUID TEXT NOT NULL REFERENCES experiments (id) ON DELETE CASCADE, -- The experiment that the row belongs to.
    process_cpu_percent      REAL, -- CPU time of the trainer's process since the sample before; 100 is one core. [%]
    process_memory_mb        REAL, -- Resident memory of the trainer's process in megabytes (10^6 bytes). [MB]
    host_cpu_percent         REAL, -- CPU time of the whole host since the sample before; 100 is all cores. [%]
    host_memory_used_mb      REAL, -- Memory of the host in use, without caches, in megabytes (10^6 bytes). [MB]
    host_memory_total_mb     REAL, -- Memory of the host in megabytes (10^6 bytes). [MB]
    disk_free_mb             REAL, -- Free space for the journal's folder in megabytes (10^6 bytes). [MB]
    disk_total_mb            REAL, -- Size of the disk that holds the journal's folder in megabytes (10^6 bytes). [MB]
    gpus                     JSON TEXT, -- GPUs as nvidia-smi shows them: a list of index, name, utilization_percent, memory_used_mb, memory_total_mb.
    sampled_at               TIMESTAMP TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')), -- When it was measured; the time of logging unless the record says otherwise.
    extra                    JSON TEXT, -- What has no column; non_finite lists the fields whose number was NaN or infinite.
    run_id                   UUID TEXT, -- The run that logged the row; null when it was inserted by hand.
    seq                      INTEGER, -- Sequence number of the record in its run.
    logged_at                TIMESTAMP TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')) -- When the record was logged; of two with one key the later wins.
);
CREATE INDEX idx_resources_experiment ON run_resources (experiment_id, logged_at);

-- Time of the latest record that shows progress: neither heartbeat nor resources. A
-- run that hangs still sends those.
ALTER TABLE training_runs ADD COLUMN last_record TIMESTAMP TEXT;

-- Who runs, and who has moved: asked every few seconds, among any number of runs.
CREATE INDEX idx_runs_running ON training_runs (last_heartbeat) WHERE status = 'running';
CREATE INDEX idx_runs_updated ON training_runs (updated_at);

CREATE TABLE alerts ( -- What went wrong, or is worth knowing, as the rules found it.
    id                       UUID TEXT PRIMARY KEY NOT NULL, -- UUID.
    rule                     TEXT NOT NULL, -- Name of the rule.
    severity                 TEXT NOT NULL CHECK (severity IN ('info', 'warning', 'critical')), -- info, warning or critical.
    experiment_id            UUID TEXT REFERENCES experiments (id) ON DELETE CASCADE, -- The experiment that it is about; null when it is about none.
    run_id                   UUID TEXT, -- The run that it is about.
    state                    TEXT NOT NULL CHECK (state IN ('firing', 'resolved')), -- firing or resolved.
    opened_at                TIMESTAMP TEXT NOT NULL, -- When it began.
    last_seen_at             TIMESTAMP TEXT NOT NULL, -- When the rule was last found to be broken.
    resolved_at              TIMESTAMP TEXT, -- When it ended; null while it fires.
    message                  TEXT NOT NULL, -- What was found, in a sentence.
    what_to_do               TEXT NOT NULL, -- What a person can do about it.
    value                    REAL, -- The number that broke the rule; null when there is none.
    episode_number           INTEGER, -- The episode at which it was found; null when it belongs to none.
    silenced_until           TIMESTAMP TEXT, -- Until then nothing is sent.
    notified_at              TIMESTAMP TEXT, -- When its channels last took a message about it; null when none was sent.
    notified_state           TEXT -- The state that this message told.
);
CREATE INDEX idx_alerts_experiment ON alerts (experiment_id, opened_at);
CREATE INDEX idx_alerts_opened ON alerts (opened_at);
CREATE INDEX idx_alerts_firing ON alerts (opened_at) WHERE state = 'firing';

DROP TRIGGER experiments_deleted;
-- +goose StatementBegin
CREATE TRIGGER experiments_deleted AFTER DELETE ON experiments BEGIN
    DELETE FROM training_steps WHERE experiment_id = OLD.id;
    DELETE FROM training_episodes WHERE experiment_id = OLD.id;
    DELETE FROM model_checkpoints WHERE experiment_id = OLD.id;
    DELETE FROM validation_results WHERE experiment_id = OLD.id;
    DELETE FROM baseline_comparisons WHERE experiment_id = OLD.id;
    DELETE FROM run_resources WHERE experiment_id = OLD.id;
    DELETE FROM alerts WHERE experiment_id = OLD.id;
END;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER experiments_deleted;
-- +goose StatementBegin
CREATE TRIGGER experiments_deleted AFTER DELETE ON experiments BEGIN
    DELETE FROM training_steps WHERE experiment_id = OLD.id;
    DELETE FROM training_episodes WHERE experiment_id = OLD.id;
    DELETE FROM model_checkpoints WHERE experiment_id = OLD.id;
    DELETE FROM validation_results WHERE experiment_id = OLD.id;
    DELETE FROM baseline_comparisons WHERE experiment_id = OLD.id;
END;
-- +goose StatementEnd
DROP TABLE alerts;
DROP INDEX idx_runs_updated;
DROP INDEX idx_runs_running;
ALTER TABLE training_runs DROP COLUMN last_record;
DROP TABLE run_resources;
