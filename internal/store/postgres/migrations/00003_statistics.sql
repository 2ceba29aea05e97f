-- +goose Up
-- experiments.total_episodes and best_reward follow training_episodes, whoever writes
-- to it. One update per statement and experiment, from the rows of the statement; a
-- look-up in idx_episodes_best only when the best row itself goes.
--
-- Under concurrency: each function first locks the experiments in the order of their
-- ids, then reads. In READ COMMITTED the reading statement sees everything that was
-- committed by those who held the lock before.

-- +goose StatementBegin
CREATE FUNCTION episodes_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM experiments WHERE id IN (SELECT experiment_id FROM new_rows) ORDER BY id FOR NO KEY UPDATE;
    UPDATE experiments e
       SET total_episodes = e.total_episodes + d.n,
           best_reward = greatest(e.best_reward, d.best)
      FROM (SELECT experiment_id, count(*) AS n, max(total_reward) AS best FROM new_rows GROUP BY experiment_id) d
     WHERE e.id = d.experiment_id;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION episodes_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM experiments WHERE id IN (SELECT experiment_id FROM old_rows) ORDER BY id FOR NO KEY UPDATE;
    UPDATE experiments e
       SET total_episodes = e.total_episodes - d.n,
           best_reward = CASE WHEN d.best < e.best_reward OR d.best IS NULL THEN e.best_reward
                              ELSE (SELECT max(t.total_reward) FROM training_episodes t WHERE t.experiment_id = e.id) END
      FROM (SELECT experiment_id, count(*) AS n, max(total_reward) AS best FROM old_rows GROUP BY experiment_id) d
     WHERE e.id = d.experiment_id;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION episodes_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM experiments
      WHERE id IN (SELECT experiment_id FROM old_rows UNION SELECT experiment_id FROM new_rows)
      ORDER BY id FOR NO KEY UPDATE;
    UPDATE experiments e
       SET total_episodes = e.total_episodes + d.added - d.gone,
           best_reward = CASE WHEN d.was < e.best_reward OR d.was IS NULL OR d.best >= d.was THEN greatest(e.best_reward, d.best)
                              ELSE (SELECT max(t.total_reward) FROM training_episodes t WHERE t.experiment_id = e.id) END
      FROM (SELECT experiment_id, sum(o) AS gone, sum(n) AS added, max(was) AS was, max(best) AS best
              FROM (SELECT experiment_id, 1 AS o, 0 AS n, total_reward AS was, NULL::double precision AS best FROM old_rows
                    UNION ALL
                    SELECT experiment_id, 0, 1, NULL, total_reward FROM new_rows) r
             GROUP BY experiment_id) d
     WHERE e.id = d.experiment_id;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION episodes_truncated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE experiments SET total_episodes = 0, best_reward = NULL WHERE total_episodes <> 0 OR best_reward IS NOT NULL;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER training_episodes_inserted AFTER INSERT ON training_episodes
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION episodes_inserted();
CREATE TRIGGER training_episodes_deleted AFTER DELETE ON training_episodes
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION episodes_deleted();
CREATE TRIGGER training_episodes_updated AFTER UPDATE ON training_episodes
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION episodes_updated();
CREATE TRIGGER training_episodes_truncated AFTER TRUNCATE ON training_episodes
    FOR EACH STATEMENT EXECUTE FUNCTION episodes_truncated();

-- +goose Down
DROP TRIGGER training_episodes_truncated ON training_episodes;
DROP TRIGGER training_episodes_updated ON training_episodes;
DROP TRIGGER training_episodes_deleted ON training_episodes;
DROP TRIGGER training_episodes_inserted ON training_episodes;
DROP FUNCTION episodes_truncated();
DROP FUNCTION episodes_updated();
DROP FUNCTION episodes_deleted();
DROP FUNCTION episodes_inserted();
