-- +goose Up
-- Who the caller is, asked of a function whose plan is kept. auth.uid() is a function in
-- SQL, which the planner takes apart again for each table of each statement. It runs with
-- the caller's rights, and in a parallel worker as well, like what it asks; so does
-- shared_experiments, which kept statements under policies from having workers.
-- +goose StatementBegin
CREATE FUNCTION greenwave_caller() RETURNS uuid LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN auth.uid();
END
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION greenwave_caller() IS 'The user of the request, auth.uid(), for policies: planned once a session.';
ALTER FUNCTION shared_experiments(text) PARALLEL SAFE;

-- Only what differs is replaced, so that what the functions learn elsewhere stays.
-- +goose StatementBegin
DO $do$
DECLARE
    part text[];
    body text;
BEGIN
    FOREACH part SLICE 1 IN ARRAY ARRAY[
        ['greenwave_protect(regclass, text, boolean)', $$'(SELECT auth.uid())'$$, $$'(SELECT greenwave_caller())'$$],
        ['greenwave_protect_all(boolean)', $$'shared_experiments'$$, $$'shared_experiments', 'greenwave_caller'$$]] LOOP
        body := pg_get_functiondef(part[1]::regprocedure);
        IF strpos(body, part[2]) = 0 THEN
            RAISE EXCEPTION '% is not the function that migration 75 knows: it lacks %', part[1], part[2];
        END IF;
        EXECUTE replace(body, part[2], part[3]);
    END LOOP;
END
$do$;
-- +goose StatementEnd
SELECT greenwave_protect_all();

-- +goose Down
-- +goose StatementBegin
DO $do$
BEGIN
    EXECUTE replace(pg_get_functiondef('greenwave_protect(regclass, text, boolean)'::regprocedure),
        $$'(SELECT greenwave_caller())'$$, $$'(SELECT auth.uid())'$$);
    EXECUTE replace(pg_get_functiondef('greenwave_protect_all(boolean)'::regprocedure),
        $$'shared_experiments', 'greenwave_caller'$$, $$'shared_experiments'$$);
END
$do$;
-- +goose StatementEnd
ALTER FUNCTION shared_experiments(text) PARALLEL UNSAFE;
SELECT greenwave_protect_all();
DROP FUNCTION greenwave_caller();
