-- +goose Up
-- Whose a row is stands in the row, so that a policy compares two values and asks no
-- other table. experiments.created_by may be null; owner, which keys can refer to, is
-- all zeros then. The key (experiment_id, created_by) of the rows keeps anybody from
-- putting rows under another's experiment, and follows when an experiment changes hands.

ALTER TABLE experiments ADD COLUMN owner uuid NOT NULL
    GENERATED ALWAYS AS (coalesce(created_by, '00000000-0000-0000-0000-000000000000')) STORED;
ALTER TABLE experiments ADD CONSTRAINT experiments_owner UNIQUE (id, owner);
CREATE INDEX idx_experiments_created_by ON experiments (created_by);
COMMENT ON COLUMN experiments.owner IS 'created_by, all zeros where it is null; keys refer to it.';
ALTER TABLE experiments_archive ADD COLUMN owner uuid;
COMMENT ON COLUMN experiments_archive.owner IS 'created_by, all zeros where it is null; keys refer to it.';
UPDATE experiments_archive SET owner = coalesce(created_by, '00000000-0000-0000-0000-000000000000');
CREATE INDEX idx_experiments_archive_created_by ON experiments_archive (created_by);

-- Fills in whose a row is when the writer did not say. What the writer may not see has
-- no owner that the writer could be.
-- +goose StatementBegin
CREATE FUNCTION inherit_owner() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.created_by := coalesce((SELECT e.owner FROM experiments e WHERE e.id = NEW.experiment_id),
        CASE WHEN NOT row_security_active(TG_RELID) THEN NEW.created_by END, '00000000-0000-0000-0000-000000000000');
    RETURN NEW;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $$
DECLARE
    t       text;
    nobody  constant text := quote_literal('00000000-0000-0000-0000-000000000000');
    comment constant text := 'The owner of the experiment; all zeros where it has none.';
BEGIN
    FOREACH t IN ARRAY ARRAY['training_episodes', 'training_steps', 'model_checkpoints', 'validation_results',
                             'baseline_comparisons', 'run_resources'] LOOP
        -- The default is one value for all rows that are there: no row is rewritten.
        EXECUTE format('ALTER TABLE %I ADD COLUMN created_by uuid NOT NULL DEFAULT %s', t, nobody);
        EXECUTE format('ALTER TABLE %I DISABLE TRIGGER USER', t);
        EXECUTE format('UPDATE %I x SET created_by = e.owner FROM experiments e WHERE e.id = x.experiment_id AND e.owner <> %s', t, nobody);
        EXECUTE format('ALTER TABLE %I ENABLE TRIGGER USER', t);
        EXECUTE format('ALTER TABLE %I ALTER COLUMN created_by DROP DEFAULT', t);
        EXECUTE format('ALTER TABLE %I DROP CONSTRAINT %I', t, t || '_experiment_id_fkey');
        EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I FOREIGN KEY (experiment_id, created_by)
            REFERENCES experiments (id, owner) ON DELETE CASCADE ON UPDATE CASCADE', t, t || '_experiment_id_fkey');
        EXECUTE format('CREATE TRIGGER %I BEFORE INSERT ON %I FOR EACH ROW WHEN (NEW.created_by IS NULL)
            EXECUTE FUNCTION inherit_owner()', t || '_owner', t);
        EXECUTE format('ALTER TABLE %I ADD COLUMN created_by uuid', t || '_archive');
        EXECUTE format('UPDATE %I x SET created_by = e.owner FROM experiments_archive e WHERE e.id = x.experiment_id', t || '_archive');
        EXECUTE format('COMMENT ON COLUMN %I.created_by IS %L', t, comment);
        EXECUTE format('COMMENT ON COLUMN %I.created_by IS %L', t || '_archive', comment);
        IF t = 'training_steps' THEN
            -- Steps come in stretches of one owner, so a few bytes for each stretch say
            -- where to look. A tree would cost a quarter of the speed of writing.
            CREATE INDEX idx_steps_created_by ON training_steps USING brin (created_by uuid_minmax_multi_ops) WITH (pages_per_range = 32, autosummarize = on);
            CREATE INDEX idx_steps_archive_created_by ON training_steps_archive USING brin (created_by uuid_minmax_multi_ops) WITH (pages_per_range = 32, autosummarize = on);
        ELSE
            EXECUTE format('CREATE INDEX %I ON %I (created_by)', 'idx_' || t || '_created_by', t);
            EXECUTE format('CREATE INDEX %I ON %I (created_by)', 'idx_' || t || '_archive_created_by', t || '_archive');
        END IF;
    END LOOP;
END
$$;
-- +goose StatementEnd

-- Runs outlive their experiment, and alerts may be about none, so no key holds them:
-- a trigger says whose they are, whatever the writer says.
ALTER TABLE training_runs ADD COLUMN created_by uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000';
UPDATE training_runs r SET created_by = e.owner FROM experiments e WHERE e.id = r.experiment_id AND e.created_by IS NOT NULL;
CREATE INDEX idx_runs_created_by ON training_runs (created_by);
COMMENT ON COLUMN training_runs.created_by IS 'The owner of the experiment; all zeros where it has none.';
CREATE TRIGGER training_runs_owner BEFORE INSERT OR UPDATE OF experiment_id, created_by ON training_runs
    FOR EACH ROW EXECUTE FUNCTION inherit_owner();

ALTER TABLE alerts ADD COLUMN created_by uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000';
UPDATE alerts a SET created_by = e.owner FROM experiments e WHERE e.id = a.experiment_id AND e.created_by IS NOT NULL;
CREATE INDEX idx_alerts_created_by ON alerts (created_by);
COMMENT ON COLUMN alerts.created_by IS 'The owner of the experiment; all zeros where it has none, or the alert is about none.';
CREATE TRIGGER alerts_owner BEFORE INSERT OR UPDATE OF experiment_id, created_by ON alerts
    FOR EACH ROW EXECUTE FUNCTION inherit_owner();

ALTER TABLE dead_letters ADD COLUMN experiment_id uuid;
ALTER TABLE dead_letters ADD COLUMN created_by uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000';
UPDATE dead_letters d SET experiment_id = r.experiment_id, created_by = r.created_by FROM training_runs r WHERE r.id = d.run_id;
CREATE INDEX idx_dead_letters_created_by ON dead_letters (created_by);
COMMENT ON COLUMN dead_letters.experiment_id IS 'The experiment of the run.';
COMMENT ON COLUMN dead_letters.created_by IS 'The owner of the experiment; all zeros where it has none.';
-- +goose StatementBegin
CREATE FUNCTION inherit_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT r.experiment_id, r.created_by INTO NEW.experiment_id, NEW.created_by FROM training_runs r WHERE r.id = NEW.run_id;
    NEW.created_by := coalesce(NEW.created_by, '00000000-0000-0000-0000-000000000000');
    RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER dead_letters_owner BEFORE INSERT OR UPDATE OF run_id, experiment_id, created_by ON dead_letters
    FOR EACH ROW EXECUTE FUNCTION inherit_run();

-- +goose StatementBegin
CREATE FUNCTION pass_on_owner() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE training_runs SET created_by = NEW.owner WHERE experiment_id = NEW.id;
    UPDATE dead_letters SET created_by = NEW.owner WHERE run_id IN (SELECT r.id FROM training_runs r WHERE r.experiment_id = NEW.id);
    UPDATE alerts SET created_by = NEW.owner WHERE experiment_id = NEW.id;
    RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER experiments_owner AFTER UPDATE OF created_by ON experiments
    FOR EACH ROW WHEN (OLD.created_by IS DISTINCT FROM NEW.created_by) EXECUTE FUNCTION pass_on_owner();

CREATE TABLE experiment_members (
    experiment_id            uuid NOT NULL,
    user_id                  uuid NOT NULL,
    role                     text NOT NULL CHECK (role IN ('read', 'write')),
    created_at               timestamptz NOT NULL DEFAULT now(),
    created_by               uuid NOT NULL,
    PRIMARY KEY (experiment_id, user_id),
    FOREIGN KEY (experiment_id, created_by) REFERENCES experiments (id, owner) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX idx_members_user ON experiment_members (user_id, role, experiment_id);
CREATE INDEX idx_members_created_by ON experiment_members (created_by);
CREATE TRIGGER experiment_members_owner BEFORE INSERT ON experiment_members FOR EACH ROW WHEN (NEW.created_by IS NULL)
    EXECUTE FUNCTION inherit_owner();
COMMENT ON TABLE experiment_members IS 'With whom experiments are shared.';
COMMENT ON COLUMN experiment_members.experiment_id IS 'The experiment.';
COMMENT ON COLUMN experiment_members.user_id IS 'Who may see it.';
COMMENT ON COLUMN experiment_members.role IS 'read, or write: record under it and change it, but neither delete it nor share it on.';
COMMENT ON COLUMN experiment_members.created_at IS 'When it was shared.';
COMMENT ON COLUMN experiment_members.created_by IS 'The owner of the experiment.';

-- As before; created_by is not the caller's to choose, and another's experiment of the
-- same name gets an error that says so.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION insert_training_episode(name text, episode jsonb) RETURNS uuid LANGUAGE plpgsql AS $$
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
           AND e.key NOT IN ('experiment_id', 'extra', 'run_id', 'seq', 'logged_at', 'created_by')
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
    IF experiment IS NULL THEN
        RAISE EXCEPTION 'experiment % belongs to somebody else, who has not shared it for writing', name
            USING ERRCODE = '42501', HINT = 'Choose another name, or ask its owner to share it.';
    END IF;

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
         AND attname NOT IN ('experiment_id', 'episode_number', 'created_by'))
    USING t;
    RETURN experiment;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER experiments_owner ON experiments;
DROP FUNCTION pass_on_owner();
DROP TABLE experiment_members;
DROP TRIGGER dead_letters_owner ON dead_letters;
DROP FUNCTION inherit_run();
ALTER TABLE dead_letters DROP COLUMN created_by, DROP COLUMN experiment_id;
DROP TRIGGER alerts_owner ON alerts;
ALTER TABLE alerts DROP COLUMN created_by;
DROP TRIGGER training_runs_owner ON training_runs;
ALTER TABLE training_runs DROP COLUMN created_by;
-- +goose StatementBegin
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['training_episodes', 'training_steps', 'model_checkpoints', 'validation_results',
                             'baseline_comparisons', 'run_resources'] LOOP
        EXECUTE format('DROP TRIGGER %I ON %I', t || '_owner', t);
        EXECUTE format('ALTER TABLE %I DROP COLUMN created_by', t); -- and with it the key
        EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I FOREIGN KEY (experiment_id) REFERENCES experiments (id) ON DELETE CASCADE',
            t, t || '_experiment_id_fkey');
        EXECUTE format('ALTER TABLE %I DROP COLUMN created_by', t || '_archive');
    END LOOP;
END
$$;
-- +goose StatementEnd
DROP FUNCTION inherit_owner();
DROP INDEX idx_experiments_archive_created_by;
ALTER TABLE experiments_archive DROP COLUMN owner;
DROP INDEX idx_experiments_created_by;
ALTER TABLE experiments DROP CONSTRAINT experiments_owner;
ALTER TABLE experiments DROP COLUMN owner;
