-- +goose Up
-- The same policies for less. What is shared with the caller is asked of a function, whose
-- plan is kept for the session, where a subselect with the policies of experiment_members
-- in it was planned again for each table of each statement. It is asked only of rows that
-- are not the caller's own. It runs with the caller's rights.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION shared_experiments(wanted text) RETURNS uuid[] LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN ARRAY(SELECT m.experiment_id FROM experiment_members m
                  WHERE m.user_id = auth.uid() AND (m.role = 'write' OR wanted = 'read'));
END
$$;
-- +goose StatementEnd

-- Only what differs is replaced, so that what the template learns elsewhere stays.
-- +goose StatementBegin
DO $do$
DECLARE
    body text := pg_get_functiondef('greenwave_protect(regclass, text, boolean)'::regprocedure);
    part text[];
BEGIN
    FOREACH part SLICE 1 IN ARRAY ARRAY[
        [$$'%s = ANY (ARRAY(SELECT m.experiment_id FROM %s m WHERE m.user_id = (SELECT auth.uid())%s))'$$,
         $$'%s = ANY ((SELECT shared_experiments(%L))::uuid[])'$$],
        [$$format(members, id, 'experiment_members'::regclass, '')$$, $$format(members, id, 'read')$$],
        [$$format(members, id, 'experiment_members'::regclass, ' AND m.role = ''write''')$$, $$format(members, id, 'write')$$]] LOOP
        IF strpos(body, part[1]) = 0 THEN
            RAISE EXCEPTION 'greenwave_protect is not the function that migration 60 knows: it lacks %', part[1];
        END IF;
        body := replace(body, part[1], part[2]);
    END LOOP;
    EXECUTE body;
END
$do$;
-- +goose StatementEnd

-- With the owner in the index of the key, an experiment's steps are counted without
-- reading the steps.
ALTER TABLE training_steps DROP CONSTRAINT idx_steps_interval,
    ADD CONSTRAINT idx_steps_interval PRIMARY KEY (experiment_id, episode_number, step_number) INCLUDE (created_by);

SELECT greenwave_protect_all();

-- +goose Down
ALTER TABLE training_steps DROP CONSTRAINT idx_steps_interval,
    ADD CONSTRAINT idx_steps_interval PRIMARY KEY (experiment_id, episode_number, step_number);
-- +goose StatementBegin
DO $do$
DECLARE body text := pg_get_functiondef('greenwave_protect(regclass, text, boolean)'::regprocedure);
BEGIN
    body := replace(body, $$'%s = ANY ((SELECT shared_experiments(%L))::uuid[])'$$,
        $$'%s = ANY (ARRAY(SELECT m.experiment_id FROM %s m WHERE m.user_id = (SELECT auth.uid())%s))'$$);
    body := replace(body, $$format(members, id, 'read')$$, $$format(members, id, 'experiment_members'::regclass, '')$$);
    body := replace(body, $$format(members, id, 'write')$$, $$format(members, id, 'experiment_members'::regclass, ' AND m.role = ''write''')$$);
    EXECUTE body;
END
$do$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION shared_experiments(wanted text) RETURNS uuid[] LANGUAGE sql STABLE AS $$
    SELECT coalesce(array_agg(m.experiment_id), '{}') FROM experiment_members m
     WHERE m.user_id = auth.uid() AND (m.role = 'write' OR wanted = 'read')
$$;
-- +goose StatementEnd
SELECT greenwave_protect_all();
