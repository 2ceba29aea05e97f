-- +goose Up
COMMENT ON COLUMN real_time_training.experiment_name IS 'Name of the experiment.';
COMMENT ON COLUMN real_time_training.status IS 'running, paused, completed, failed or interrupted; running without a sign of life for 2 minutes is interrupted.';
COMMENT ON COLUMN real_time_training.total_episodes IS 'Episodes in the database. [episodes]';
COMMENT ON COLUMN real_time_training.best_reward IS 'Largest total_reward of an episode.';
COMMENT ON COLUMN real_time_training.episode_number IS 'The last episode that ended, by its number.';
COMMENT ON COLUMN real_time_training.current_reward IS 'Its total_reward.';
COMMENT ON COLUMN real_time_training.passenger_throughput IS 'Passengers that arrived in it, per hour. [passengers/h]';
COMMENT ON COLUMN real_time_training.avg_waiting_time IS 'Mean waiting time of its vehicles. [s]';
COMMENT ON COLUMN real_time_training.completed_trips IS 'Vehicles that arrived in it. [trips]';
COMMENT ON COLUMN real_time_training.timestamp IS 'When it ended.';
COMMENT ON COLUMN real_time_training.active_vehicles IS 'Vehicles in the network at the last logged step. [vehicles]';
COMMENT ON COLUMN real_time_training.simulation_time IS 'Simulated time of the last logged step. [s]';

COMMENT ON COLUMN performance_analytics.experiment_name IS 'Name of the experiment.';
COMMENT ON COLUMN performance_analytics.episodes_completed IS 'Episodes in the database. [episodes]';
COMMENT ON COLUMN performance_analytics.avg_reward IS 'Mean total_reward.';
COMMENT ON COLUMN performance_analytics.best_reward IS 'Largest total_reward.';
COMMENT ON COLUMN performance_analytics.reward_std IS 'Standard deviation of total_reward, of the sample (n - 1).';
COMMENT ON COLUMN performance_analytics.avg_passenger_throughput IS 'Mean passenger_throughput. [passengers/h]';
COMMENT ON COLUMN performance_analytics.avg_waiting_time IS 'Mean avg_waiting_time. [s]';
COMMENT ON COLUMN performance_analytics.avg_completed_trips IS 'Mean completed_trips. [trips]';
COMMENT ON COLUMN performance_analytics.first_reward IS 'total_reward of the episode with the smallest number.';
COMMENT ON COLUMN performance_analytics.latest_reward IS 'total_reward of the episode with the largest number.';

COMMENT ON COLUMN convergence_detection.experiment_id IS 'The experiment.';
COMMENT ON COLUMN convergence_detection.experiment_name IS 'Its name.';
COMMENT ON COLUMN convergence_detection.episode_number IS 'Number of the episode.';
COMMENT ON COLUMN convergence_detection.total_reward IS 'Sum of the rewards of the episode.';
COMMENT ON COLUMN convergence_detection.moving_avg IS 'Mean total_reward of the episode and the nine before it.';

-- +goose Down
SELECT 1; -- the comments go with the views
