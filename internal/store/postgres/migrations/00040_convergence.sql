-- +goose Up

-- The guide's query for convergence, for every experiment. It is partitioned by name too,
-- so that a condition on the name reaches the rows before they are averaged.
CREATE VIEW convergence_detection AS
SELECT e.id AS experiment_id,
       e.experiment_name,
       t.episode_number,
       t.total_reward,
       avg(t.total_reward) OVER (PARTITION BY e.id, e.experiment_name ORDER BY t.episode_number ROWS 9 PRECEDING) AS moving_avg
  FROM experiments e
  JOIN training_episodes t ON t.experiment_id = e.id;
COMMENT ON VIEW convergence_detection IS 'The reward of each episode with the mean of it and the nine episodes before.';

SELECT greenwave_protect('convergence_detection', 'view');

-- greenwave_protect_all knows it from now on, whatever it learned since it was made.
-- +goose StatementBegin
DO $$
BEGIN
    EXECUTE replace(pg_get_functiondef('greenwave_protect_all(boolean)'::regprocedure),
        '(''performance_analytics'', ''view'')', '(''performance_analytics'', ''view''), (''convergence_detection'', ''view'')');
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP VIEW convergence_detection;
-- +goose StatementBegin
DO $$
BEGIN
    EXECUTE replace(pg_get_functiondef('greenwave_protect_all(boolean)'::regprocedure), ', (''convergence_detection'', ''view'')', '');
END
$$;
-- +goose StatementEnd
