-- +goose Up

-- Logs an episode from SQL, for those who have no journal. The experiment is made when
-- there is none. Logging an episode again replaces it. Fields without a column go to
-- extra; "NaN", "Infinity" and "-Infinity" become null and are named in
-- extra.non_finite; a number written as text is refused. Returns the experiment's id.
-- +goose StatementBegin
CREATE FUNCTION insert_training_episode(name text, episode jsonb) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    experiment uuid;
    field      record;
    kept       jsonb := '{}';
    rest       jsonb := '{}';
    lost       jsonb := '[]';
    t          training_episodes;
BEGIN
    IF jsonb_typeof(episode) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'episode is %: must be an object', coalesce(jsonb_typeof(episode), 'null') USING ERRCODE = '22023';
    END IF;
    FOR field IN
        SELECT e.key, e.value, a.atttypid AS type
          FROM jsonb_each(episode) e
          LEFT JOIN pg_attribute a ON a.attrelid = 'training_episodes'::regclass AND a.attname = e.key AND a.attnum > 0
           AND e.key NOT IN ('experiment_id', 'extra', 'run_id', 'seq', 'logged_at')
    LOOP
        IF field.type IS NULL AND field.key <> 'extra' THEN
            rest := rest || jsonb_build_object(field.key, field.value);
        ELSIF field.key = 'extra' THEN
            rest := rest || CASE jsonb_typeof(field.value) WHEN 'object' THEN field.value
                                 WHEN 'null' THEN '{}' ELSE jsonb_build_object('extra', field.value) END;
        ELSIF jsonb_typeof(field.value) = 'null' THEN
            CONTINUE;
        ELSIF field.type IN ('double precision'::regtype, 'bigint'::regtype, 'integer'::regtype) AND jsonb_typeof(field.value) <> 'number' THEN
            IF field.value IN ('"NaN"', '"Infinity"', '"-Infinity"') AND field.key <> 'episode_number' THEN
                lost := lost || to_jsonb(field.key);
            ELSE
                RAISE EXCEPTION '% is %: must be a number', field.key, field.value USING ERRCODE = '22023';
            END IF;
        ELSE
            kept := kept || jsonb_build_object(field.key, field.value);
        END IF;
    END LOOP;
    IF NOT kept ? 'episode_number' THEN
        RAISE EXCEPTION 'episode_number is missing' USING ERRCODE = '22023';
    END IF;
    IF jsonb_array_length(lost) > 0 THEN
        rest := rest || jsonb_build_object('non_finite', lost);
    END IF;

    INSERT INTO experiments (experiment_name) VALUES (name) ON CONFLICT (experiment_name) DO NOTHING;
    SELECT id INTO experiment FROM experiments WHERE experiment_name = name FOR KEY SHARE;

    t := jsonb_populate_record(NULL::training_episodes, kept);
    t.experiment_id := experiment;
    t.timestamp := coalesce(t.timestamp, clock_timestamp());
    t.extra := nullif(rest, '{}');
    t.logged_at := clock_timestamp();
    -- The column list is spelled by the table itself, so that it never lags behind it.
    EXECUTE (SELECT format(
        'INSERT INTO training_episodes SELECT ($1).* ON CONFLICT (experiment_id, episode_number) DO UPDATE SET (%s) = ROW(%s)',
        string_agg(quote_ident(attname), ', ' ORDER BY attnum),
        string_agg('excluded.' || quote_ident(attname), ', ' ORDER BY attnum))
        FROM pg_attribute WHERE attrelid = 'training_episodes'::regclass AND attnum > 0 AND NOT attisdropped
         AND attname NOT IN ('experiment_id', 'episode_number'))
    USING t;
    RETURN experiment;
END
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION insert_training_episode(text, jsonb) IS 'Logs an episode of the named experiment, which is made when there is none; an episode that is there is replaced. Returns the id of the experiment.';

-- The archive has the same columns in the same order and no constraints, so that
-- INSERT INTO …_archive SELECT * FROM … works and nothing there is ever refused.
CREATE TABLE experiments_archive (LIKE experiments INCLUDING COMMENTS);
CREATE TABLE training_episodes_archive (LIKE training_episodes INCLUDING COMMENTS INCLUDING COMPRESSION);
CREATE TABLE training_steps_archive (LIKE training_steps INCLUDING COMMENTS INCLUDING COMPRESSION);
CREATE TABLE model_checkpoints_archive (LIKE model_checkpoints INCLUDING COMMENTS);
CREATE TABLE validation_results_archive (LIKE validation_results INCLUDING COMMENTS);
CREATE TABLE baseline_comparisons_archive (LIKE baseline_comparisons INCLUDING COMMENTS);
COMMENT ON TABLE experiments_archive IS 'Experiments that archive_old_experiments took out of the way.';
COMMENT ON TABLE training_episodes_archive IS 'Episodes of archived experiments.';
COMMENT ON TABLE training_steps_archive IS 'Steps of archived experiments.';
COMMENT ON TABLE model_checkpoints_archive IS 'Checkpoints of archived experiments.';
COMMENT ON TABLE validation_results_archive IS 'Validations of archived experiments.';
COMMENT ON TABLE baseline_comparisons_archive IS 'Baseline comparisons of archived experiments.';
CREATE INDEX idx_experiments_archive ON experiments_archive (id);
CREATE INDEX idx_episodes_archive ON training_episodes_archive (experiment_id, episode_number);
CREATE INDEX idx_steps_archive ON training_steps_archive (experiment_id, episode_number, step_number);
CREATE INDEX idx_checkpoints_archive ON model_checkpoints_archive (experiment_id);
CREATE INDEX idx_validations_archive ON validation_results_archive (experiment_id);
CREATE INDEX idx_baselines_archive ON baseline_comparisons_archive (experiment_id);

-- Moves whole experiments, never a part of one: those that are completed, failed or
-- interrupted and whose last sign of life and last episode are older than the given
-- days. Experiments that somebody writes to at the moment are left for the next time.
-- Their runs stay, so that a sync of such a run says that the experiment is gone.
-- Returns how many experiments were moved.
-- +goose StatementBegin
CREATE FUNCTION archive_old_experiments(days_old INTEGER DEFAULT 90) RETURNS INTEGER LANGUAGE plpgsql AS $$
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
COMMENT ON FUNCTION archive_old_experiments(integer) IS 'Moves whole experiments that ended more than the given days ago to the archive tables and returns how many.';

-- Deletes, for good, the steps that are older than the given days of experiments that
-- do not run. Episodes, and so all statistics, stay; the steps are still in the
-- journal. Returns how many steps were deleted.
-- +goose StatementBegin
CREATE FUNCTION cleanup_old_steps(days INTEGER DEFAULT 30) RETURNS BIGINT LANGUAGE plpgsql AS $$
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

-- +goose Down
DROP FUNCTION cleanup_old_steps(integer);
DROP FUNCTION archive_old_experiments(integer);
DROP TABLE baseline_comparisons_archive;
DROP TABLE validation_results_archive;
DROP TABLE model_checkpoints_archive;
DROP TABLE training_steps_archive;
DROP TABLE training_episodes_archive;
DROP TABLE experiments_archive;
DROP FUNCTION insert_training_episode(text, jsonb);
