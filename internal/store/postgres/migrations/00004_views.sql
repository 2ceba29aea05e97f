-- +goose Up

-- One row per experiment at the cost of a few look-ups in indexes, however many
-- episodes and steps there are.
CREATE VIEW real_time_training AS
SELECT e.experiment_name,
       CASE WHEN e.status = 'running' AND r.last_sign < now() - interval '2 minutes'
            THEN 'interrupted' ELSE e.status END AS status,
       e.total_episodes,
       e.best_reward,
       t.episode_number,
       t.total_reward AS current_reward,
       t.passenger_throughput,
       t.avg_waiting_time,
       t.completed_trips,
       t.timestamp,
       s.active_vehicles,
       s.simulation_time
  FROM experiments e
  LEFT JOIN LATERAL (
       SELECT max(coalesce(x.last_heartbeat, x.started_at)) AS last_sign
         FROM training_runs x WHERE x.experiment_id = e.id) r ON true
  LEFT JOIN LATERAL (
       SELECT x.* FROM training_episodes x WHERE x.experiment_id = e.id
        ORDER BY x.episode_number DESC LIMIT 1) t ON true
  LEFT JOIN LATERAL (
       SELECT x.active_vehicles, x.simulation_time FROM training_steps x WHERE x.experiment_id = e.id
        ORDER BY x.episode_number DESC, x.step_number DESC LIMIT 1) s ON true;
COMMENT ON VIEW real_time_training IS 'What each experiment does now: its last episode and step. Running without a sign of life for 2 minutes is shown as interrupted.';

CREATE VIEW performance_analytics AS
SELECT e.experiment_name,
       a.episodes_completed,
       a.avg_reward,
       a.best_reward,
       a.reward_std,
       a.avg_passenger_throughput,
       a.avg_waiting_time,
       a.avg_completed_trips,
       f.total_reward AS first_reward,
       l.total_reward AS latest_reward
  FROM experiments e
 CROSS JOIN LATERAL (
       SELECT count(*) AS episodes_completed,
              avg(x.total_reward) AS avg_reward,
              max(x.total_reward) AS best_reward,
              stddev_samp(x.total_reward) AS reward_std,
              avg(x.passenger_throughput) AS avg_passenger_throughput,
              avg(x.avg_waiting_time) AS avg_waiting_time,
              avg(x.completed_trips)::double precision AS avg_completed_trips
         FROM training_episodes x WHERE x.experiment_id = e.id) a
  LEFT JOIN LATERAL (
       SELECT x.total_reward FROM training_episodes x WHERE x.experiment_id = e.id
        ORDER BY x.episode_number LIMIT 1) f ON true
  LEFT JOIN LATERAL (
       SELECT x.total_reward FROM training_episodes x WHERE x.experiment_id = e.id
        ORDER BY x.episode_number DESC LIMIT 1) l ON true;
COMMENT ON VIEW performance_analytics IS 'Each experiment summed up over its episodes. reward_std is that of the sample (n - 1); first and latest by episode number.';

-- +goose StatementBegin
DO $$
BEGIN
    -- The reader's own rights apply to what a view shows, where the server can (15).
    IF current_setting('server_version_num')::integer >= 150000 THEN
        EXECUTE 'ALTER VIEW real_time_training SET (security_invoker = true)';
        EXECUTE 'ALTER VIEW performance_analytics SET (security_invoker = true)';
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP VIEW performance_analytics;
DROP VIEW real_time_training;
