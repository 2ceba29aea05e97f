-- Every SQL statement of the guide for users of the database, as it is written there,
-- one block after the other. The last one is read by pandas.

-- Execute database_schema.sql in Supabase SQL editor
-- This creates all tables, indexes, functions, and triggers

-- Enable Row Level Security (RLS) for production
ALTER TABLE experiments ENABLE ROW LEVEL SECURITY;
ALTER TABLE training_episodes ENABLE ROW LEVEL SECURITY;
-- ... repeat for other tables

-- Current training status
SELECT * FROM real_time_training 
WHERE experiment_name = 'thesis_final_run';

-- Performance trends
SELECT episode_number, total_reward, passenger_throughput 
FROM training_episodes 
WHERE experiment_id = (
  SELECT id FROM experiments 
  WHERE experiment_name = 'thesis_final_run'
)
ORDER BY episode_number;

-- Public transport performance
SELECT 
  AVG(buses_processed) as avg_buses,
  AVG(jeepneys_processed) as avg_jeepneys,
  AVG(pt_passenger_throughput) as avg_pt_throughput
FROM training_episodes 
WHERE experiment_id = (SELECT id FROM experiments WHERE experiment_name = 'thesis_final_run');

-- Training progress analysis
SELECT * FROM performance_analytics 
WHERE experiment_name = 'thesis_final_run';

-- Convergence detection
SELECT episode_number, 
       AVG(total_reward) OVER (ORDER BY episode_number ROWS 9 PRECEDING) as moving_avg
FROM training_episodes 
WHERE experiment_id = (SELECT id FROM experiments WHERE experiment_name = 'thesis_final_run')
ORDER BY episode_number;

-- Ensure users only see their experiments
CREATE POLICY experiment_access ON experiments
FOR ALL USING (created_by = auth.uid());

-- Critical indexes for query performance
CREATE INDEX idx_episodes_exp_time ON training_episodes(experiment_id, timestamp);
CREATE INDEX idx_steps_interval ON training_steps(experiment_id, episode_number, step_number);
CREATE INDEX idx_episodes_reward ON training_episodes(total_reward DESC);

-- Partition by experiment for large deployments
CREATE TABLE training_steps_partitioned (
    LIKE training_steps INCLUDING ALL
) PARTITION BY HASH (experiment_id);

-- Archive old training data
CREATE OR REPLACE FUNCTION archive_old_experiments(days_old INTEGER DEFAULT 90)
RETURNS INTEGER AS $$
BEGIN
    -- Move old data to archive tables
    INSERT INTO training_episodes_archive 
    SELECT * FROM training_episodes 
    WHERE timestamp < (NOW() - INTERVAL '1 day' * days_old);
    
    DELETE FROM training_episodes 
    WHERE timestamp < (NOW() - INTERVAL '1 day' * days_old);
    
    RETURN 1;
END;
$$ LANGUAGE plpgsql;

SELECT episode_number, total_reward, passenger_throughput 
FROM training_episodes 
WHERE experiment_id = (
    SELECT id FROM experiments 
    WHERE experiment_name = 'thesis_final_run'
);
