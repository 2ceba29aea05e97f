-- +goose Up
-- What of an experiment is in a store of files instead of here. The experiment itself
-- stays, with its runs, checkpoints, validations and comparisons: it is listed as before.

ALTER TABLE experiments ADD COLUMN archived_at timestamptz;
COMMENT ON COLUMN experiments.archived_at IS 'When its episodes, steps and resources went to an archive; null while they are here.';
ALTER TABLE experiments_archive ADD COLUMN archived_at timestamptz;
COMMENT ON COLUMN experiments_archive.archived_at IS 'When its episodes, steps and resources went to an archive; null while they are here.';

CREATE TABLE archives (
    id                       text NOT NULL CHECK (length(id) = 64),
    experiment_id            uuid NOT NULL,
    experiment_name          text NOT NULL,
    what                     text NOT NULL CHECK (what IN ('experiment', 'steps')),
    location                 text NOT NULL,
    row_count                bigint NOT NULL,
    size_bytes               bigint NOT NULL,
    archived_at              timestamptz NOT NULL,
    restored_at              timestamptz,
    created_by               uuid,
    PRIMARY KEY (experiment_id, id)
);
CREATE INDEX idx_archives_created_by ON archives (created_by);
COMMENT ON TABLE archives IS 'What was moved to a store of files, and where it is.';
COMMENT ON COLUMN archives.id IS 'SHA-256 of the manifest in hexadecimal, under which the store has it.';
COMMENT ON COLUMN archives.experiment_id IS 'The experiment; it may have been deleted since.';
COMMENT ON COLUMN archives.experiment_name IS 'Its name when it was archived.';
COMMENT ON COLUMN archives.what IS 'experiment: all its rows; steps: some of its steps.';
COMMENT ON COLUMN archives.location IS 'Which store, without secrets.';
COMMENT ON COLUMN archives.row_count IS 'Rows in the files. [rows]';
COMMENT ON COLUMN archives.size_bytes IS 'Size of the files. [bytes]';
COMMENT ON COLUMN archives.archived_at IS 'When the rows left the database.';
COMMENT ON COLUMN archives.restored_at IS 'When they were brought back; null while they are not here.';
COMMENT ON COLUMN archives.created_by IS 'The owner of the experiment.';

-- The list of tables is kept in one function; here it learns of one more.
-- +goose StatementBegin
DO $$
DECLARE
    was  text := pg_get_functiondef('greenwave_protect_all(boolean)'::regprocedure);
    more text := replace(was, '(''experiments_archive'', ''archive'')', '(''archives'', ''archive''), (''experiments_archive'', ''archive'')');
BEGIN
    IF more = was THEN
        RAISE EXCEPTION 'greenwave_protect_all is not the one that was expected';
    END IF;
    EXECUTE more;
END
$$;
-- +goose StatementEnd

-- As before, one experiment after the other: one that cannot be moved is told and holds
-- up no other. What is in a store of files already is left alone.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION archive_old_experiments(days_old INTEGER DEFAULT 90) RETURNS INTEGER LANGUAGE plpgsql AS $$
DECLARE
    limit_time timestamptz := now() - interval '1 day' * days_old;
    old        record;
    n          integer := 0;
BEGIN
    IF days_old < 0 THEN
        RAISE EXCEPTION 'days_old is %: must not be negative', days_old USING ERRCODE = '22023';
    END IF;
    FOR old IN
        SELECT e.id, e.experiment_name FROM experiments e
         WHERE e.status IN ('completed', 'failed', 'interrupted') AND e.archived_at IS NULL
           AND coalesce(e.completed_at, e.created_at) < limit_time
           AND NOT EXISTS (SELECT 1 FROM training_runs r WHERE r.experiment_id = e.id
                              AND greatest(r.started_at, r.last_heartbeat, r.ended_at) >= limit_time)
           AND NOT EXISTS (SELECT 1 FROM training_episodes t WHERE t.experiment_id = e.id AND t.timestamp >= limit_time)
         ORDER BY e.id FOR UPDATE SKIP LOCKED
    LOOP
        BEGIN
            INSERT INTO experiments_archive SELECT * FROM experiments WHERE id = old.id;
            INSERT INTO training_episodes_archive SELECT * FROM training_episodes WHERE experiment_id = old.id;
            INSERT INTO training_steps_archive SELECT * FROM training_steps WHERE experiment_id = old.id;
            INSERT INTO model_checkpoints_archive SELECT * FROM model_checkpoints WHERE experiment_id = old.id;
            INSERT INTO validation_results_archive SELECT * FROM validation_results WHERE experiment_id = old.id;
            INSERT INTO baseline_comparisons_archive SELECT * FROM baseline_comparisons WHERE experiment_id = old.id;
            INSERT INTO run_resources_archive SELECT * FROM run_resources WHERE experiment_id = old.id;
            DELETE FROM experiments WHERE id = old.id; -- the rest goes by ON DELETE CASCADE
            n := n + 1;
        EXCEPTION WHEN OTHERS THEN
            RAISE WARNING 'experiment % stays where it is: % [%]', old.experiment_name, SQLERRM, SQLSTATE;
        END;
    END LOOP;
    RETURN n;
END
$$;
-- +goose StatementEnd

-- Whole episodes only: as long as one of its steps is younger, or has no time, all of an
-- episode stay, so that nobody takes a part of an episode for all of it. The lock keeps
-- writers of the experiment out until the end; one that is being written to is left for
-- the next time.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION cleanup_old_steps(days INTEGER DEFAULT 30) RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
    limit_time timestamptz := now() - interval '1 day' * cleanup_old_steps.days;
    old        uuid;
    gone       bigint;
    n          bigint := 0;
BEGIN
    IF days < 0 THEN
        RAISE EXCEPTION 'days is %: must not be negative', days USING ERRCODE = '22023';
    END IF;
    FOR old IN SELECT id FROM experiments WHERE status <> 'running' ORDER BY id FOR UPDATE SKIP LOCKED LOOP
        DELETE FROM training_steps s USING (
            SELECT episode_number FROM training_steps WHERE experiment_id = old
             GROUP BY episode_number HAVING bool_and(coalesce(real_timestamp < limit_time, false))) e
         WHERE s.experiment_id = old AND s.episode_number = e.episode_number;
        GET DIAGNOSTICS gone = ROW_COUNT;
        n := n + gone;
    END LOOP;
    RETURN n;
END
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION cleanup_old_steps(integer) IS 'Deletes the steps of episodes that ended more than the given days ago, of experiments that do not run, and returns how many. An episode''s steps go all or stay all; episodes stay.';

SELECT greenwave_protect_all();

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION cleanup_old_steps(days INTEGER DEFAULT 30) RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    IF days < 0 THEN
        RAISE EXCEPTION 'days is %: must not be negative', days USING ERRCODE = '22023';
    END IF;
    DELETE FROM training_steps s USING experiments e
     WHERE e.id = s.experiment_id AND e.status <> 'running'
       AND s.real_timestamp < now() - interval '1 day' * cleanup_old_steps.days;
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION cleanup_old_steps(integer) IS 'Deletes the steps that are older than the given days of experiments that do not run and returns how many. Episodes stay.';
-- +goose StatementBegin
DO $$
BEGIN
    EXECUTE replace(pg_get_functiondef('greenwave_protect_all(boolean)'::regprocedure), '(''archives'', ''archive''), ', '');
END
$$;
-- +goose StatementEnd
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
DROP TABLE archives;
ALTER TABLE experiments_archive DROP COLUMN archived_at;
ALTER TABLE experiments DROP COLUMN archived_at;
SELECT greenwave_protect_all();
