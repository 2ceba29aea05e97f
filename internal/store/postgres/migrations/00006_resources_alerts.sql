-- +goose Up

CREATE TABLE run_resources (
    id                       uuid NOT NULL DEFAULT gen_random_uuid(),
    experiment_id            uuid NOT NULL REFERENCES experiments (id) ON DELETE CASCADE,
    process_cpu_percent      double precision,
    process_memory_mb        double precision,
    host_cpu_percent         double precision,
    host_memory_used_mb      double precision,
    host_memory_total_mb     double precision,
    disk_free_mb             double precision,
    disk_total_mb            double precision,
    gpus                     jsonb,
    sampled_at               timestamptz NOT NULL DEFAULT now(),
    extra                    jsonb,
    run_id                   uuid,
    seq                      bigint,
    logged_at                timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (experiment_id, id)
);
CREATE INDEX idx_resources_experiment ON run_resources (experiment_id, logged_at);
COMMENT ON TABLE run_resources IS 'What the process of a run and its host used, every ten seconds.';
COMMENT ON COLUMN run_resources.id IS 'UUID; derives from run and sequence number.';
COMMENT ON COLUMN run_resources.experiment_id IS 'The experiment that the row belongs to.';
COMMENT ON COLUMN run_resources.process_cpu_percent IS 'CPU time of the trainer''s process since the sample before; 100 is one core. [%]';
COMMENT ON COLUMN run_resources.process_memory_mb IS 'Resident memory of the trainer''s process in megabytes (10^6 bytes). [MB]';
COMMENT ON COLUMN run_resources.host_cpu_percent IS 'CPU time of the whole host since the sample before; 100 is all cores. [%]';
COMMENT ON COLUMN run_resources.host_memory_used_mb IS 'Memory of the host in use, without caches, in megabytes (10^6 bytes). [MB]';
COMMENT ON COLUMN run_resources.host_memory_total_mb IS 'Memory of the host in megabytes (10^6 bytes). [MB]';
COMMENT ON COLUMN run_resources.disk_free_mb IS 'Free space for the journal''s folder in megabytes (10^6 bytes). [MB]';
COMMENT ON COLUMN run_resources.disk_total_mb IS 'Size of the disk that holds the journal''s folder in megabytes (10^6 bytes). [MB]';
COMMENT ON COLUMN run_resources.gpus IS 'GPUs as nvidia-smi shows them: a list of index, name, utilization_percent, memory_used_mb, memory_total_mb.';
COMMENT ON COLUMN run_resources.sampled_at IS 'When it was measured; the time of logging unless the record says otherwise.';
COMMENT ON COLUMN run_resources.extra IS 'What has no column; non_finite lists the fields whose number was NaN or infinite.';
COMMENT ON COLUMN run_resources.run_id IS 'The run that logged the row; null when it was inserted by hand.';
COMMENT ON COLUMN run_resources.seq IS 'Sequence number of the record in its run.';
COMMENT ON COLUMN run_resources.logged_at IS 'When the record was logged; of two with one key the later wins.';

-- A run that hangs still sends heartbeats and resources.
ALTER TABLE training_runs ADD COLUMN last_record timestamptz;
COMMENT ON COLUMN training_runs.last_record IS 'Time of the latest record that shows progress: neither heartbeat nor resources.';

-- Who runs, and who has moved: asked every few seconds, among any number of runs.
CREATE INDEX idx_runs_running ON training_runs (last_heartbeat) WHERE status = 'running';
CREATE INDEX idx_runs_updated ON training_runs (updated_at);

CREATE TABLE alerts (
    id                       uuid PRIMARY KEY,
    rule                     text NOT NULL,
    severity                 text NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
    experiment_id            uuid REFERENCES experiments (id) ON DELETE CASCADE,
    run_id                   uuid,
    state                    text NOT NULL CHECK (state IN ('firing', 'resolved')),
    opened_at                timestamptz NOT NULL,
    last_seen_at             timestamptz NOT NULL,
    resolved_at              timestamptz,
    message                  text NOT NULL,
    what_to_do               text NOT NULL,
    value                    double precision,
    episode_number           bigint,
    silenced_until           timestamptz,
    notified_at              timestamptz,
    notified_state           text
);
CREATE INDEX idx_alerts_experiment ON alerts (experiment_id, opened_at);
CREATE INDEX idx_alerts_opened ON alerts (opened_at);
CREATE INDEX idx_alerts_firing ON alerts (opened_at) WHERE state = 'firing';
COMMENT ON TABLE alerts IS 'What went wrong, or is worth knowing, as the rules found it.';
COMMENT ON COLUMN alerts.id IS 'UUID.';
COMMENT ON COLUMN alerts.rule IS 'Name of the rule.';
COMMENT ON COLUMN alerts.severity IS 'info, warning or critical.';
COMMENT ON COLUMN alerts.experiment_id IS 'The experiment that it is about; null when it is about none.';
COMMENT ON COLUMN alerts.run_id IS 'The run that it is about.';
COMMENT ON COLUMN alerts.state IS 'firing or resolved.';
COMMENT ON COLUMN alerts.opened_at IS 'When it began.';
COMMENT ON COLUMN alerts.last_seen_at IS 'When the rule was last found to be broken.';
COMMENT ON COLUMN alerts.resolved_at IS 'When it ended; null while it fires.';
COMMENT ON COLUMN alerts.message IS 'What was found, in a sentence.';
COMMENT ON COLUMN alerts.what_to_do IS 'What a person can do about it.';
COMMENT ON COLUMN alerts.value IS 'The number that broke the rule; null when there is none.';
COMMENT ON COLUMN alerts.episode_number IS 'The episode at which it was found; null when it belongs to none.';
COMMENT ON COLUMN alerts.silenced_until IS 'Until then nothing is sent.';
COMMENT ON COLUMN alerts.notified_at IS 'When its channels last took a message about it; null when none was sent.';
COMMENT ON COLUMN alerts.notified_state IS 'The state that this message told.';

CREATE TABLE run_resources_archive (LIKE run_resources INCLUDING COMMENTS);
COMMENT ON TABLE run_resources_archive IS 'Resources of archived experiments.';
CREATE INDEX idx_resources_archive ON run_resources_archive (experiment_id);

-- As before, with the resources. Alerts go with their experiment: they are about what
-- runs.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION archive_old_experiments(days_old INTEGER DEFAULT 90) RETURNS INTEGER LANGUAGE plpgsql AS $$
DECLARE
    limit_time timestamptz := now() - interval '1 day' * days_old;
    ids        uuid[];
BEGIN
    IF days_old < 0 THEN
        RAISE EXCEPTION 'days_old is %: must not be negative', days_old USING ERRCODE = '22023';
    END IF;
    SELECT array_agg(old.id) INTO ids FROM (
        SELECT e.id FROM experiments e
         WHERE e.status IN ('completed', 'failed', 'interrupted')
           AND coalesce(e.completed_at, e.created_at) < limit_time
           AND NOT EXISTS (SELECT 1 FROM training_runs r WHERE r.experiment_id = e.id
                              AND greatest(r.started_at, r.last_heartbeat, r.ended_at) >= limit_time)
           AND NOT EXISTS (SELECT 1 FROM training_episodes t WHERE t.experiment_id = e.id AND t.timestamp >= limit_time)
         ORDER BY e.id FOR UPDATE SKIP LOCKED) old;
    IF ids IS NULL THEN
        RETURN 0;
    END IF;
    INSERT INTO experiments_archive SELECT * FROM experiments WHERE id = ANY (ids);
    INSERT INTO training_episodes_archive SELECT * FROM training_episodes WHERE experiment_id = ANY (ids);
    INSERT INTO training_steps_archive SELECT * FROM training_steps WHERE experiment_id = ANY (ids);
    INSERT INTO model_checkpoints_archive SELECT * FROM model_checkpoints WHERE experiment_id = ANY (ids);
    INSERT INTO validation_results_archive SELECT * FROM validation_results WHERE experiment_id = ANY (ids);
    INSERT INTO baseline_comparisons_archive SELECT * FROM baseline_comparisons WHERE experiment_id = ANY (ids);
    INSERT INTO run_resources_archive SELECT * FROM run_resources WHERE experiment_id = ANY (ids);
    DELETE FROM experiments WHERE id = ANY (ids); -- the rest goes by ON DELETE CASCADE
    RETURN cardinality(ids);
END
$$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION archive_old_experiments(days_old INTEGER DEFAULT 90) RETURNS INTEGER LANGUAGE plpgsql AS $$
DECLARE
    limit_time timestamptz := now() - interval '1 day' * days_old;
    ids        uuid[];
BEGIN
    IF days_old < 0 THEN
        RAISE EXCEPTION 'days_old is %: must not be negative', days_old USING ERRCODE = '22023';
    END IF;
    SELECT array_agg(old.id) INTO ids FROM (
        SELECT e.id FROM experiments e
         WHERE e.status IN ('completed', 'failed', 'interrupted')
           AND coalesce(e.completed_at, e.created_at) < limit_time
           AND NOT EXISTS (SELECT 1 FROM training_runs r WHERE r.experiment_id = e.id
                              AND greatest(r.started_at, r.last_heartbeat, r.ended_at) >= limit_time)
           AND NOT EXISTS (SELECT 1 FROM training_episodes t WHERE t.experiment_id = e.id AND t.timestamp >= limit_time)
         ORDER BY e.id FOR UPDATE SKIP LOCKED) old;
    IF ids IS NULL THEN
        RETURN 0;
    END IF;
    INSERT INTO experiments_archive SELECT * FROM experiments WHERE id = ANY (ids);
    INSERT INTO training_episodes_archive SELECT * FROM training_episodes WHERE experiment_id = ANY (ids);
    INSERT INTO training_steps_archive SELECT * FROM training_steps WHERE experiment_id = ANY (ids);
    INSERT INTO model_checkpoints_archive SELECT * FROM model_checkpoints WHERE experiment_id = ANY (ids);
    INSERT INTO validation_results_archive SELECT * FROM validation_results WHERE experiment_id = ANY (ids);
    INSERT INTO baseline_comparisons_archive SELECT * FROM baseline_comparisons WHERE experiment_id = ANY (ids);
    DELETE FROM experiments WHERE id = ANY (ids); -- the rest goes by ON DELETE CASCADE
    RETURN cardinality(ids);
END
$$;
-- +goose StatementEnd
DROP TABLE run_resources_archive;
DROP TABLE alerts;
DROP INDEX idx_runs_updated;
DROP INDEX idx_runs_running;
ALTER TABLE training_runs DROP COLUMN last_record;
DROP TABLE run_resources;
