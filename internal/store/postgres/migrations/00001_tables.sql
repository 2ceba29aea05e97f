-- +goose Up
-- The tables. Units stand in brackets at the end of a column's comment. Every row of
-- the five tables of records says where it came from: run_id, seq and logged_at, null
-- run and seq when it was inserted by hand. Keys begin with experiment_id, so that the
-- tables can be partitioned and sharded by it.

-- +goose StatementBegin
DO $$
BEGIN
    -- Supabase has auth.uid(). Elsewhere this stand-in reads the same setting.
    IF to_regprocedure('auth.uid()') IS NULL THEN
        CREATE SCHEMA IF NOT EXISTS auth;
        CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS
            $f$ SELECT (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid $f$;
        COMMENT ON FUNCTION auth.uid() IS 'greenwave: the user of the request, where Supabase does not say it';
    END IF;
END
$$;
-- +goose StatementEnd

CREATE TABLE experiments (
    id                       uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    experiment_name          text NOT NULL UNIQUE,
    description              text,
    config                   jsonb NOT NULL DEFAULT '{}',
    status                   text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'paused', 'completed', 'failed', 'interrupted')),
    created_at               timestamptz NOT NULL DEFAULT now(),
    completed_at             timestamptz,
    total_episodes           bigint NOT NULL DEFAULT 0,
    best_reward              double precision,
    convergence_episode      integer,
    created_by               uuid DEFAULT auth.uid(),
    metadata                 jsonb NOT NULL DEFAULT '{}',
    extra                    jsonb,
    changes                  jsonb
);

CREATE TABLE training_runs (
    id                       uuid PRIMARY KEY,
    experiment_id            uuid,
    experiment_name          text NOT NULL,
    source                   text NOT NULL,
    host                     text,
    pid                      bigint,
    started_at               timestamptz NOT NULL,
    ended_at                 timestamptz,
    status                   text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'paused', 'completed', 'failed', 'interrupted')),
    reason                   text,
    last_heartbeat           timestamptz,
    header                   jsonb,
    cursor                   bigint NOT NULL DEFAULT 0,
    dead                     bigint NOT NULL DEFAULT 0,
    superseded               bigint NOT NULL DEFAULT 0,
    updated_at               timestamptz NOT NULL DEFAULT now(),
    extra                    jsonb
);
CREATE INDEX idx_runs_experiment ON training_runs (experiment_id, started_at DESC, id DESC);
CREATE INDEX idx_runs_name ON training_runs (experiment_name);

CREATE TABLE dead_letters (
    run_id                   uuid NOT NULL REFERENCES training_runs (id) ON DELETE CASCADE,
    seq                      bigint NOT NULL,
    kind                     text NOT NULL,
    reason                   text NOT NULL,
    location                 text NOT NULL,
    refused_at               timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, seq)
);

CREATE TABLE training_episodes (
    experiment_id            uuid NOT NULL REFERENCES experiments (id) ON DELETE CASCADE,
    episode_number           integer NOT NULL,
    scenario_info            jsonb,
    total_reward             double precision,
    steps_completed          integer,
    epsilon_value            double precision,
    avg_loss                 double precision,
    memory_size              bigint,
    total_vehicles           bigint,
    completed_trips          bigint,
    passenger_throughput     double precision,
    avg_waiting_time         double precision,
    avg_speed                double precision,
    avg_queue_length         double precision,
    max_queue_length         double precision,
    travel_time_index        double precision,
    buses_processed          bigint,
    jeepneys_processed       bigint,
    pt_passenger_throughput  double precision,
    pt_avg_waiting           double precision,
    pt_service_efficiency    double precision,
    reward_components        jsonb,
    episode_duration_minutes double precision,
    timestamp                timestamptz NOT NULL DEFAULT now(),
    extra                    jsonb,
    run_id                   uuid,
    seq                      bigint,
    logged_at                timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (experiment_id, episode_number)
);
CREATE INDEX idx_episodes_exp_time ON training_episodes (experiment_id, timestamp);
CREATE INDEX idx_episodes_reward ON training_episodes (total_reward DESC);
CREATE INDEX idx_episodes_best ON training_episodes (experiment_id, total_reward DESC);

CREATE TABLE training_steps (
    experiment_id            uuid NOT NULL REFERENCES experiments (id) ON DELETE CASCADE,
    episode_number           integer NOT NULL,
    step_number              integer NOT NULL,
    active_vehicles          bigint,
    queue_lengths            jsonb,
    waiting_times            jsonb,
    speeds                   jsonb,
    state_vector             real[],
    action_taken             bigint,
    immediate_reward         double precision,
    intersection_metrics     jsonb,
    simulation_time          double precision,
    real_timestamp           timestamptz NOT NULL DEFAULT now(),
    extra                    jsonb,
    run_id                   uuid,
    seq                      bigint,
    logged_at                timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT idx_steps_interval PRIMARY KEY (experiment_id, episode_number, step_number)
);

CREATE TABLE model_checkpoints (
    id                       uuid NOT NULL DEFAULT gen_random_uuid(),
    experiment_id            uuid NOT NULL REFERENCES experiments (id) ON DELETE CASCADE,
    episode_number           integer,
    checkpoint_type          text NOT NULL CHECK (checkpoint_type IN ('regular', 'best', 'final')),
    model_path               text NOT NULL,
    model_size_mb            double precision,
    model_hash               text,
    validation_reward        double precision,
    validation_metrics       jsonb,
    hyperparameters          jsonb,
    training_time_minutes    double precision,
    vs_baseline_improvement  double precision,
    created_at               timestamptz NOT NULL DEFAULT now(),
    extra                    jsonb,
    run_id                   uuid,
    seq                      bigint,
    logged_at                timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (experiment_id, id)
);
CREATE INDEX idx_checkpoints_experiment ON model_checkpoints (experiment_id, logged_at);

CREATE TABLE validation_results (
    id                       uuid NOT NULL DEFAULT gen_random_uuid(),
    experiment_id            uuid NOT NULL REFERENCES experiments (id) ON DELETE CASCADE,
    checkpoint_id            uuid,
    validation_episode       integer,
    test_scenario            jsonb,
    total_reward             double precision,
    traffic_metrics          jsonb,
    comparison_metrics       jsonb,
    confidence_interval      jsonb,
    statistical_significance jsonb,
    timestamp                timestamptz NOT NULL DEFAULT now(),
    extra                    jsonb,
    run_id                   uuid,
    seq                      bigint,
    logged_at                timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (experiment_id, id)
);
-- No foreign key to the checkpoint: it may belong to a run that is synced later.
CREATE INDEX idx_validations_experiment ON validation_results (experiment_id, logged_at);

CREATE TABLE baseline_comparisons (
    id                       uuid NOT NULL DEFAULT gen_random_uuid(),
    experiment_id            uuid NOT NULL REFERENCES experiments (id) ON DELETE CASCADE,
    baseline_type            text NOT NULL,
    test_scenarios           jsonb,
    d3qn_metrics             jsonb,
    baseline_metrics         jsonb,
    improvement_percentages  jsonb,
    statistical_tests        jsonb,
    significance_results     jsonb,
    comparison_date          timestamptz NOT NULL DEFAULT now(),
    notes                    text,
    extra                    jsonb,
    run_id                   uuid,
    seq                      bigint,
    logged_at                timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (experiment_id, id)
);
CREATE INDEX idx_baselines_experiment ON baseline_comparisons (experiment_id, logged_at);

-- +goose StatementBegin
DO $$
DECLARE c record;
BEGIN
    -- lz4 halves the time to store a state and a JSON value; servers may lack it.
    FOR c IN SELECT a.attrelid::regclass AS t, a.attname AS name FROM pg_attribute a
              WHERE a.attrelid IN ('training_steps'::regclass, 'training_episodes'::regclass)
                AND a.atttypid IN ('jsonb'::regtype, 'real[]'::regtype)
    LOOP
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET COMPRESSION lz4', c.t, c.name);
    END LOOP;
EXCEPTION WHEN feature_not_supported OR invalid_parameter_value THEN
    RAISE NOTICE 'this server has no lz4: states take pglz';
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE baseline_comparisons;
DROP TABLE validation_results;
DROP TABLE model_checkpoints;
DROP TABLE training_steps;
DROP TABLE training_episodes;
DROP TABLE dead_letters;
DROP TABLE training_runs;
DROP TABLE experiments;

-- +goose StatementBegin
DO $$
BEGIN
    IF obj_description(to_regprocedure('auth.uid()'), 'pg_proc') LIKE 'greenwave:%' THEN
        DROP FUNCTION auth.uid();
        DROP SCHEMA auth;
    END IF;
EXCEPTION WHEN dependent_objects_still_exist THEN
    RAISE NOTICE 'schema auth is used by others and stays';
END
$$;
-- +goose StatementEnd
