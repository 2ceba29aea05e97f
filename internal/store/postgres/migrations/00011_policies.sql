-- +goose Up
-- Who may see what, for those who come as one of Supabase's roles: authenticated with
-- the claims of its token, service_role for servers, anon for strangers. Who connects as
-- the owner of the tables, as before, is not held by policies.

-- +goose StatementBegin
DO $$
DECLARE r text;
BEGIN
    -- Supabase has these roles. They belong to the whole server, so going down leaves
    -- them; another database may use them.
    FOREACH r IN ARRAY ARRAY['anon', 'authenticated', 'service_role'] LOOP
        BEGIN
            IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = r) THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN', r);
            END IF;
            IF NOT pg_has_role(current_user, r, 'MEMBER') THEN
                EXECUTE format('GRANT %I TO CURRENT_USER', r);
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL; -- another database's migration was faster
        WHEN insufficient_privilege THEN
            RAISE NOTICE 'role % is not there, or not ours to take: nobody can be let in as it before an administrator makes it and runs greenwave_protect_all() again', r;
        END;
    END LOOP;
END
$$;
-- +goose StatementEnd

-- For the second form of the policies only: what is shared with the caller.
-- +goose StatementBegin
CREATE FUNCTION shared_experiments(wanted text) RETURNS uuid[] LANGUAGE sql STABLE AS $$
    SELECT coalesce(array_agg(m.experiment_id), '{}') FROM experiment_members m
     WHERE m.user_id = auth.uid() AND (m.role = 'write' OR wanted = 'read')
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION shared_experiments(text) IS 'Ids of the experiments of others that the caller may read, or write.';

-- The one template. What a table is to its readers:
--   record      rows under an experiment (experiment_id, created_by): its owner and members
--   experiment  experiments themselves
--   member      with whom they are shared: the owner decides, a member may see and leave
--   archive     what was put away: its owner may read
--   version     anybody who is let in may read
--   private     for servers only
-- Views are held by the policies of what they show (security_invoker), and are granted
-- as kind view. A partition does not inherit policies: it gets its own, of its table's kind.
--
-- The form that was found fastest compares with subselects, which are evaluated once for
-- a statement. A sharded cluster (Citus) takes no subselects in policies: there, sharded
-- makes the second form.
-- +goose StatementBegin
CREATE FUNCTION greenwave_protect(target regclass, kind text, sharded boolean DEFAULT false) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    uid     text := CASE WHEN sharded THEN 'auth.uid()' ELSE '(SELECT auth.uid())' END;
    id      text := CASE kind WHEN 'experiment' THEN 'id' ELSE 'experiment_id' END;
    mine    text := format('created_by = %s', uid);
    members constant text := '%s = ANY (ARRAY(SELECT m.experiment_id FROM %s m WHERE m.user_id = (SELECT auth.uid())%s))';
    reads   text; -- mine, or shared with me
    writes  text; -- mine, or shared with me for writing
    people  text := CASE WHEN EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'authenticated') THEN 'authenticated' ELSE 'PUBLIC' END;
    r       text;
    p       record;
    columns text;
BEGIN
    FOR r IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role') UNION ALL SELECT 'PUBLIC' LOOP
        EXECUTE format('REVOKE ALL ON %s FROM %s', target, CASE r WHEN 'PUBLIC' THEN r ELSE quote_ident(r) END);
    END LOOP;
    IF people = 'authenticated' AND EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'service_role') THEN
        EXECUTE format('GRANT %s ON %s TO service_role', CASE kind WHEN 'view' THEN 'SELECT' ELSE 'SELECT, INSERT, UPDATE, DELETE' END, target);
    END IF;
    IF kind = 'view' THEN
        -- Before PostgreSQL 15 a view shows what its owner may see: to nobody, then.
        IF people = 'authenticated' AND current_setting('server_version_num')::integer >= 150000 THEN
            EXECUTE format('ALTER VIEW %s SET (security_invoker = true)', target);
            EXECUTE format('GRANT SELECT ON %s TO authenticated', target);
        END IF;
        RETURN;
    END IF;

    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
    FOR p IN SELECT polname FROM pg_policy WHERE polrelid = target AND polname LIKE 'greenwave\_%' LOOP
        EXECUTE format('DROP POLICY %I ON %s', p.polname, target);
    END LOOP;
    IF sharded THEN
        reads := format('%s OR %s = ANY (shared_experiments(''read''))', mine, id);
        writes := format('%s OR %s = ANY (shared_experiments(''write''))', mine, id);
    ELSE
        reads := mine || ' OR ' || format(members, id, 'experiment_members'::regclass, '');
        writes := mine || ' OR ' || format(members, id, 'experiment_members'::regclass, ' AND m.role = ''write''');
    END IF;
    CASE kind
    WHEN 'record' THEN
        EXECUTE format('CREATE POLICY greenwave_read ON %s FOR SELECT TO %s USING (%s)', target, people, reads);
        EXECUTE format('CREATE POLICY greenwave_add ON %s FOR INSERT TO %s WITH CHECK (%s)', target, people, writes);
        EXECUTE format('CREATE POLICY greenwave_change ON %s FOR UPDATE TO %s USING (%s) WITH CHECK (%4$s)', target, people, writes, writes);
        EXECUTE format('CREATE POLICY greenwave_remove ON %s FOR DELETE TO %s USING (%s)', target, people, writes);
    WHEN 'experiment' THEN
        EXECUTE format('CREATE POLICY greenwave_read ON %s FOR SELECT TO %s USING (%s)', target, people, reads);
        EXECUTE format('CREATE POLICY greenwave_add ON %s FOR INSERT TO %s WITH CHECK (%s)', target, people, mine);
        EXECUTE format('CREATE POLICY greenwave_change ON %s FOR UPDATE TO %s USING (%s) WITH CHECK (%4$s)', target, people, writes, writes);
        EXECUTE format('CREATE POLICY greenwave_remove ON %s FOR DELETE TO %s USING (%s)', target, people, mine);
    WHEN 'member' THEN
        EXECUTE format('CREATE POLICY greenwave_read ON %s FOR SELECT TO %s USING (%s OR user_id = %s)', target, people, mine, uid);
        EXECUTE format('CREATE POLICY greenwave_add ON %s FOR INSERT TO %s WITH CHECK (%s)', target, people, mine);
        EXECUTE format('CREATE POLICY greenwave_change ON %s FOR UPDATE TO %s USING (%s) WITH CHECK (%3$s)', target, people, mine);
        EXECUTE format('CREATE POLICY greenwave_remove ON %s FOR DELETE TO %s USING (%s OR user_id = %s)', target, people, mine, uid);
    WHEN 'archive' THEN
        EXECUTE format('CREATE POLICY greenwave_read ON %s FOR SELECT TO %s USING (%s)', target, people, mine);
    WHEN 'version' THEN
        EXECUTE format('CREATE POLICY greenwave_read ON %s FOR SELECT TO %s USING (true)', target, people);
    WHEN 'private' THEN
        NULL;
    ELSE
        RAISE EXCEPTION 'kind is %: must be record, experiment, member, archive, version, private or view', kind USING ERRCODE = '22023';
    END CASE;
    IF people <> 'authenticated' THEN
        RETURN; -- nobody but the owner of the tables has a right on them
    END IF;
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'service_role') THEN
        EXECUTE format('CREATE POLICY greenwave_service ON %s FOR ALL TO service_role USING (true) WITH CHECK (true)', target);
    END IF;
    IF kind IN ('archive', 'version') THEN
        EXECUTE format('GRANT SELECT ON %s TO authenticated', target);
    ELSIF kind IN ('record', 'member') THEN
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO authenticated', target);
    ELSIF kind = 'experiment' THEN
        -- Whose it is, is not changed by those who may write to it.
        SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO columns FROM pg_attribute
         WHERE attrelid = target AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attname NOT IN ('id', 'created_by');
        EXECUTE format('GRANT SELECT, INSERT, DELETE, UPDATE (%s) ON %s TO authenticated', columns, target);
    END IF;
END
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION greenwave_protect(regclass, text, boolean) IS 'Lays the policies and grants of a kind on a table, partition or view.';

-- Everything that is there, with the partitions of each table, and what functions may
-- do. Statistics are kept with the rights of the owner of the tables, so that they are
-- right whoever writes; each function names the schema that it means.
-- +goose StatementBegin
CREATE FUNCTION greenwave_protect_all(sharded boolean DEFAULT false) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    t record;
    f record;
    r text;
BEGIN
    FOR t IN
        WITH RECURSIVE known(name, kind) AS (
            SELECT * FROM (VALUES ('experiments', 'experiment'), ('experiment_members', 'member'), ('greenwave_schema_version', 'version'),
                ('training_runs', 'record'), ('dead_letters', 'record'), ('alerts', 'record'), ('training_episodes', 'record'),
                ('training_steps', 'record'), ('model_checkpoints', 'record'), ('validation_results', 'record'),
                ('baseline_comparisons', 'record'), ('run_resources', 'record'), ('model_files', 'record'), ('model_promotions', 'record'), ('api_tokens', 'private'),
                ('experiments_archive', 'archive'), ('training_episodes_archive', 'archive'), ('training_steps_archive', 'archive'),
                ('model_checkpoints_archive', 'archive'), ('validation_results_archive', 'archive'),
                ('baseline_comparisons_archive', 'archive'), ('run_resources_archive', 'archive'),
                ('real_time_training', 'view'), ('performance_analytics', 'view')) v
        ), all_of(oid, kind) AS (
            SELECT to_regclass(name)::oid, kind FROM known WHERE to_regclass(name) IS NOT NULL
            UNION ALL
            SELECT i.inhrelid, a.kind FROM all_of a JOIN pg_inherits i ON i.inhparent = a.oid
        )
        SELECT oid::regclass AS name, kind FROM all_of
    LOOP
        PERFORM greenwave_protect(t.name, t.kind, sharded);
    END LOOP;
    FOR f IN SELECT p.oid::regprocedure AS name, p.proname FROM pg_proc p
              WHERE p.pronamespace = current_schema()::regnamespace
                AND p.proname IN ('episodes_inserted', 'episodes_deleted', 'episodes_updated', 'episodes_truncated', 'inherit_owner', 'inherit_run',
                    'pass_on_owner', 'insert_training_episode', 'archive_old_experiments', 'cleanup_old_steps', 'shared_experiments',
                    'greenwave_protect', 'greenwave_protect_all') LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', f.name, current_schema());
        IF f.proname LIKE 'episodes\_%' THEN
            EXECUTE format('ALTER FUNCTION %s SECURITY DEFINER', f.name);
        END IF;
        FOR r IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role') UNION ALL SELECT 'PUBLIC' LOOP
            EXECUTE format('REVOKE ALL ON FUNCTION %s FROM %s', f.name, CASE r WHEN 'PUBLIC' THEN r ELSE quote_ident(r) END);
            IF r = 'authenticated' AND f.proname IN ('insert_training_episode', 'shared_experiments')
               OR r = 'service_role' AND f.proname IN ('insert_training_episode', 'shared_experiments', 'archive_old_experiments', 'cleanup_old_steps') THEN
                EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', f.name, r);
            END IF;
        END LOOP;
    END LOOP;
    FOR r IN SELECT rolname FROM pg_roles WHERE rolname IN ('authenticated', 'service_role') LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), r);
    END LOOP;
    IF obj_description(to_regprocedure('auth.uid()'), 'pg_proc') LIKE 'greenwave:%' THEN
        FOR r IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role') LOOP
            EXECUTE format('GRANT USAGE ON SCHEMA auth TO %I', r);
            EXECUTE format('GRANT EXECUTE ON FUNCTION auth.uid() TO %I', r);
        END LOOP;
    END IF;
END
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION greenwave_protect_all(boolean) IS 'Lays the policies and grants on all tables, views and functions of greenwave and on the partitions of its tables.';

SELECT greenwave_protect_all();

-- Where Supabase tells browsers of changes, these tables are among them; it shows each
-- only what its policies let it see.
-- +goose StatementBegin
DO $$
DECLARE t text;
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_publication WHERE pubname = 'supabase_realtime' AND NOT puballtables) THEN
        RETURN;
    END IF;
    FOREACH t IN ARRAY ARRAY['experiments', 'experiment_members', 'training_runs', 'training_episodes', 'training_steps',
        'model_checkpoints', 'validation_results', 'baseline_comparisons', 'run_resources', 'alerts'] LOOP
        IF NOT EXISTS (SELECT 1 FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
                        WHERE p.pubname = 'supabase_realtime' AND r.prrelid = t::regclass) THEN
            EXECUTE format('ALTER PUBLICATION supabase_realtime ADD TABLE %I', t);
        END IF;
    END LOOP;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'the publication supabase_realtime is not ours: add the tables on the page Database, Publications';
END
$$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
DO $$
DECLARE
    p record;
    t record;
    r text;
BEGIN
    FOR t IN SELECT pr.prrelid::regclass AS name FROM pg_publication_rel pr JOIN pg_publication pu ON pu.oid = pr.prpubid
              JOIN pg_class c ON c.oid = pr.prrelid
              WHERE pu.pubname = 'supabase_realtime' AND c.relnamespace = current_schema()::regnamespace
                AND c.relname IN ('experiments', 'experiment_members', 'training_runs', 'training_episodes', 'training_steps', 'model_checkpoints',
                    'validation_results', 'baseline_comparisons', 'run_resources', 'alerts') LOOP
        EXECUTE format('ALTER PUBLICATION supabase_realtime DROP TABLE %s', t.name);
    END LOOP;
    FOR p IN SELECT polname, polrelid::regclass AS on_table FROM pg_policy WHERE polname LIKE 'greenwave\_%'
              AND polrelid IN (SELECT oid FROM pg_class WHERE relnamespace = current_schema()::regnamespace) LOOP
        EXECUTE format('DROP POLICY %I ON %s', p.polname, p.on_table);
    END LOOP;
    -- Who could read the version may still do so.
    ALTER TABLE greenwave_schema_version DISABLE ROW LEVEL SECURITY;
    FOR t IN SELECT c.oid::regclass AS name, c.relkind FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace
              AND c.relname IN ('experiments', 'experiment_members', 'training_runs', 'dead_letters', 'alerts',
                  'training_episodes', 'training_steps', 'model_checkpoints', 'validation_results', 'baseline_comparisons', 'run_resources',
                  'experiments_archive', 'training_episodes_archive', 'training_steps_archive', 'model_checkpoints_archive',
                  'validation_results_archive', 'baseline_comparisons_archive', 'run_resources_archive', 'real_time_training', 'performance_analytics') LOOP
        IF t.relkind <> 'v' THEN
            EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', t.name);
        END IF;
        FOR r IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role') LOOP
            EXECUTE format('REVOKE ALL ON %s FROM %I', t.name, r);
        END LOOP;
    END LOOP;
END
$$;
-- +goose StatementEnd
DROP FUNCTION greenwave_protect_all(boolean);
DROP FUNCTION greenwave_protect(regclass, text, boolean);
DROP FUNCTION shared_experiments(text);
