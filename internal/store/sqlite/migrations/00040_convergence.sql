-- +goose Up

-- The guide's query for convergence, for every experiment: the reward of each episode
-- with the mean of it and the nine episodes before. It is partitioned by name too, so
-- that a condition on the name reaches the rows before they are averaged.
CREATE VIEW convergence_detection AS
SELECT e.id AS experiment_id,
       e.experiment_name,
       t.episode_number,
       t.total_reward,
       avg(t.total_reward) OVER (PARTITION BY e.id, e.experiment_name ORDER BY t.episode_number ROWS 9 PRECEDING) AS moving_avg
  FROM experiments e
  JOIN training_episodes t ON t.experiment_id = e.id;

-- +goose Down
DROP VIEW convergence_detection;
