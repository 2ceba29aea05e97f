-- +goose Up
-- Conventions. Every timestamp is text in UTC of one width, 2006-01-02T15:04:05.000000Z,
-- so that it sorts. Every JSON column holds valid JSON text. Units stand in brackets.

CREATE TABLE experiments ( -- Training experiments, one row each.
    id                       UUID TEXT PRIMARY KEY NOT NULL DEFAULT (lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-' || substr('89ab', 1 + abs(random() % 4), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))), -- UUID.
    experiment_name          TEXT NOT NULL UNIQUE, -- Name, unique.
    description              TEXT, -- What the experiment is about.
    config                   JSON TEXT NOT NULL DEFAULT '{}', -- All hyperparameters.
    status                   TEXT NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'paused', 'completed', 'failed', 'interrupted')), -- running, paused, completed, failed or interrupted.
    created_at               TIMESTAMP TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')), -- When the first run started.
    completed_at             TIMESTAMP TEXT, -- When the last run completed or failed.
    total_episodes           INTEGER NOT NULL DEFAULT 0, -- Rows of training_episodes; kept by triggers. [episodes]
    best_reward              REAL, -- Largest total_reward of the episodes; kept by triggers.
    convergence_episode      INTEGER, -- Episode at which the reward converged; null when it did not.
    created_by               UUID TEXT, -- The owner.
    metadata                 JSON TEXT NOT NULL DEFAULT '{}', -- Tags, group and other facts about the experiment.
    extra                    JSON TEXT, -- What has no column.
    changes                  JSON TEXT -- For each field that a record set: which record.
);

CREATE TABLE training_runs ( -- Processes that wrote to an experiment, and imported files.
    id                       UUID TEXT PRIMARY KEY NOT NULL, -- UUID.
    experiment_id            UUID TEXT, -- The experiment; dangling once it was deleted, which is how a deletion is noticed.
    experiment_name          TEXT NOT NULL, -- Name of the experiment when the run was registered.
    source                   TEXT NOT NULL, -- journal or import.
    host                     TEXT, -- Machine.
    pid                      INTEGER, -- Process.
    started_at               TIMESTAMP TEXT NOT NULL, -- When the run started.
    ended_at                 TIMESTAMP TEXT, -- When its end was logged; null when it was not.
    status                   TEXT NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'paused', 'completed', 'failed', 'interrupted')), -- running, paused, completed, failed or interrupted.
    reason                   TEXT, -- Why it ended.
    last_heartbeat           TIMESTAMP TEXT, -- Last sign of life: time of the latest record.
    header                   JSON TEXT, -- Versions, commit, process.
    cursor                   INTEGER NOT NULL DEFAULT 0, -- Every record up to this sequence number is settled.
    dead                     INTEGER NOT NULL DEFAULT 0, -- Of these, in dead_letters.
    superseded               INTEGER NOT NULL DEFAULT 0, -- Of these, lost to a record that was logged later.
    updated_at               TIMESTAMP TEXT NOT NULL, -- When the cursor was last moved.
    extra                    JSON TEXT -- What its heartbeats and end say beyond the columns.
);
CREATE INDEX idx_runs_experiment ON training_runs (experiment_id, started_at);
CREATE INDEX idx_runs_name ON training_runs (experiment_name);

CREATE TABLE dead_letters ( -- Records that the database does not hold; their bytes are in the journal.
    run_id                   UUID TEXT NOT NULL REFERENCES training_runs (id) ON DELETE CASCADE, -- The run.
    seq                      INTEGER NOT NULL, -- Sequence number of the record in its run.
    kind                     TEXT NOT NULL, -- Kind of the record; empty when the line could not be read.
    reason                   TEXT NOT NULL, -- Why it was refused: field, value and rule.
    location                 TEXT NOT NULL, -- File and line or offset.
    refused_at               TIMESTAMP TEXT NOT NULL, -- When it was refused.
    PRIMARY KEY (run_id, seq)
) WITHOUT ROWID;

CREATE TABLE training_episodes ( -- Results of finished episodes.
    experiment_id            UUID TEXT NOT NULL REFERENCES experiments (id) ON DELETE CASCADE, -- The experiment that the row belongs to.
    episode_number           INTEGER NOT NULL, -- Number of the episode, unique in its experiment.
    scenario_info            JSON TEXT, -- What was simulated: day, cycle, intersections.
    total_reward             REAL, -- Sum of the rewards of the episode.
    steps_completed          INTEGER, -- Decision intervals completed. [steps]
    epsilon_value            REAL, -- Exploration rate at the end of the episode: the probability of a random action.
    avg_loss                 REAL, -- Mean training loss over the updates of the episode.
    memory_size              INTEGER, -- Transitions in the replay memory. [transitions]
    total_vehicles           INTEGER, -- Vehicles that were in the network. [vehicles]
    completed_trips          INTEGER, -- Vehicles that arrived at their destination. [trips]
    passenger_throughput     REAL, -- Passengers that arrived, per hour. [passengers/h]
    avg_waiting_time         REAL, -- Mean waiting time of the vehicles. [s]
    avg_speed                REAL, -- Mean speed of the vehicles. [km/h]
    avg_queue_length         REAL, -- Mean number of halting vehicles (below 0.1 m/s). [vehicles]
    max_queue_length         REAL, -- Largest number of halting vehicles (below 0.1 m/s). [vehicles]
    travel_time_index        REAL, -- Actual over free-flow travel time.
    buses_processed          INTEGER, -- Buses that arrived. [buses]
    jeepneys_processed       INTEGER, -- Jeepneys that arrived. [jeepneys]
    pt_passenger_throughput  REAL, -- Passengers of buses and jeepneys that arrived, per hour. [passengers/h]
    pt_avg_waiting           REAL, -- Mean waiting time of buses and jeepneys. [s]
    pt_service_efficiency    REAL, -- Share of buses and jeepneys that were served without undue waiting.
    reward_components        JSON TEXT, -- Parts of the reward by name.
    episode_duration_minutes REAL, -- Wall-clock time that the episode took. [min]
    timestamp                TIMESTAMP TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')), -- When the episode ended; the time of logging unless the record says otherwise.
    extra                    JSON TEXT, -- What has no column; non_finite lists the fields whose number was NaN or infinite.
    run_id                   UUID TEXT, -- The run that logged the row; null when it was inserted by hand.
    seq                      INTEGER, -- Sequence number of the record in its run.
    logged_at                TIMESTAMP TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')), -- When the record was logged; of two with one key the later wins.
    PRIMARY KEY (experiment_id, episode_number)
);
CREATE INDEX idx_episodes_exp_time ON training_episodes (experiment_id, timestamp);
CREATE INDEX idx_episodes_reward ON training_episodes (total_reward DESC);
CREATE INDEX idx_episodes_best ON training_episodes (experiment_id, total_reward);

CREATE TABLE training_steps ( -- Logged decision intervals.
    experiment_id            UUID TEXT NOT NULL REFERENCES experiments (id) ON DELETE CASCADE, -- The experiment that the row belongs to.
    episode_number           INTEGER NOT NULL, -- Number of the episode that the step belongs to.
    step_number              INTEGER NOT NULL, -- Number of the step, unique in its episode.
    active_vehicles          INTEGER, -- Vehicles in the network. [vehicles]
    queue_lengths            JSON TEXT, -- Halting vehicles (below 0.1 m/s): intersection → approach → vehicles.
    waiting_times            JSON TEXT, -- Mean waiting time in seconds per intersection.
    speeds                   JSON TEXT, -- Mean speed in km/h per intersection.
    state_vector             BLOB, -- What the agent observed. One tag byte; tag 0: little-endian float32 values; tag 1: uint32 count, a bitmap of the non-zero elements (least significant bit first), their float32 values. NaN is null.
    action_taken             INTEGER, -- The joint or first action; the actions per intersection are in intersection_metrics.
    immediate_reward         REAL, -- Reward of the step.
    intersection_metrics     JSON TEXT, -- Per-intersection measures and actions.
    simulation_time          REAL, -- Simulated time since the scenario began. [s]
    real_timestamp           TIMESTAMP TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')), -- When the step happened; the time of logging unless the record says otherwise.
    extra                    JSON TEXT, -- What has no column; non_finite lists the fields whose number was NaN or infinite.
    run_id                   UUID TEXT, -- The run that logged the row; null when it was inserted by hand.
    seq                      INTEGER, -- Sequence number of the record in its run.
    logged_at                TIMESTAMP TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')) -- When the record was logged; of two with one key the later wins.
);
-- The key of the table; a PRIMARY KEY beside it would be the same index twice.
CREATE UNIQUE INDEX idx_steps_interval ON training_steps (experiment_id, episode_number, step_number);

CREATE TABLE model_checkpoints ( -- Saved models.
    id                       UUID TEXT PRIMARY KEY NOT NULL DEFAULT (lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-' || substr('89ab', 1 + abs(random() % 4), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))), -- UUID; derives from run and sequence number.
    experiment_id            UUID TEXT NOT NULL REFERENCES experiments (id) ON DELETE CASCADE, -- The experiment that the row belongs to.
    episode_number           INTEGER, -- Episode after which the model was saved.
    checkpoint_type          TEXT NOT NULL CHECK (checkpoint_type IN ('regular', 'best', 'final')), -- regular, best or final.
    model_path               TEXT NOT NULL, -- Where the model file was written.
    model_size_mb            REAL, -- Size of the model file in megabytes (10^6 bytes). [MB]
    model_hash               TEXT, -- SHA-256 of the model file in hexadecimal.
    validation_reward        REAL, -- Mean reward on the validation scenarios.
    validation_metrics       JSON TEXT, -- Further measures on the validation scenarios.
    hyperparameters          JSON TEXT, -- Snapshot of the hyperparameters.
    training_time_minutes    REAL, -- Training time so far. [min]
    vs_baseline_improvement  REAL, -- Improvement over the baseline in percent. [%]
    created_at               TIMESTAMP TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')), -- When the model was saved; the time of logging unless the record says otherwise.
    extra                    JSON TEXT, -- What has no column; non_finite lists the fields whose number was NaN or infinite.
    run_id                   UUID TEXT, -- The run that logged the row; null when it was inserted by hand.
    seq                      INTEGER, -- Sequence number of the record in its run.
    logged_at                TIMESTAMP TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')) -- When the record was logged; of two with one key the later wins.
);
CREATE INDEX idx_checkpoints_experiment ON model_checkpoints (experiment_id, logged_at);

CREATE TABLE validation_results ( -- Policies evaluated on held-out scenarios.
    id                       UUID TEXT PRIMARY KEY NOT NULL DEFAULT (lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-' || substr('89ab', 1 + abs(random() % 4), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))), -- UUID; derives from run and sequence number.
    experiment_id            UUID TEXT NOT NULL REFERENCES experiments (id) ON DELETE CASCADE, -- The experiment that the row belongs to.
    checkpoint_id            UUID TEXT, -- The checkpoint that was validated.
    validation_episode       INTEGER, -- Training episode after which the validation ran.
    test_scenario            JSON TEXT, -- The held-out scenario or scenarios.
    total_reward             REAL, -- Reward on the scenario; the mean where there are several.
    traffic_metrics          JSON TEXT, -- Traffic measures on the scenario.
    comparison_metrics       JSON TEXT, -- Comparison with a baseline on the same scenario.
    confidence_interval      JSON TEXT, -- Interval of the mean with its level.
    statistical_significance JSON TEXT, -- Test, statistic and p-value.
    timestamp                TIMESTAMP TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')), -- When the validation ended; the time of logging unless the record says otherwise.
    extra                    JSON TEXT, -- What has no column; non_finite lists the fields whose number was NaN or infinite.
    run_id                   UUID TEXT, -- The run that logged the row; null when it was inserted by hand.
    seq                      INTEGER, -- Sequence number of the record in its run.
    logged_at                TIMESTAMP TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')) -- When the record was logged; of two with one key the later wins.
);
CREATE INDEX idx_validations_experiment ON validation_results (experiment_id, logged_at);

CREATE TABLE baseline_comparisons ( -- Comparisons with controllers that are not trained.
    id                       UUID TEXT PRIMARY KEY NOT NULL DEFAULT (lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-' || substr('89ab', 1 + abs(random() % 4), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))), -- UUID; derives from run and sequence number.
    experiment_id            UUID TEXT NOT NULL REFERENCES experiments (id) ON DELETE CASCADE, -- The experiment that the row belongs to.
    baseline_type            TEXT NOT NULL, -- fixed_time, actuated, max_pressure, webster or another controller that is not trained.
    test_scenarios           JSON TEXT, -- The scenarios that both were measured on.
    d3qn_metrics             JSON TEXT, -- Measures of the trained controller.
    baseline_metrics         JSON TEXT, -- Measures of the baseline.
    improvement_percentages  JSON TEXT, -- Improvement over the baseline in percent, by measure.
    statistical_tests        JSON TEXT, -- Tests by measure: method, statistic, p-value.
    significance_results     JSON TEXT, -- Whether each difference is significant, and at which level.
    comparison_date          TIMESTAMP TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')), -- When the comparison was made; the time of logging unless the record says otherwise.
    notes                    TEXT, -- Free text.
    extra                    JSON TEXT, -- What has no column; non_finite lists the fields whose number was NaN or infinite.
    run_id                   UUID TEXT, -- The run that logged the row; null when it was inserted by hand.
    seq                      INTEGER, -- Sequence number of the record in its run.
    logged_at                TIMESTAMP TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')) -- When the record was logged; of two with one key the later wins.
);
CREATE INDEX idx_baselines_experiment ON baseline_comparisons (experiment_id, logged_at);

-- Statistics of the experiment: a look-up in an index for each row, never a scan.

-- +goose StatementBegin
CREATE TRIGGER training_episodes_inserted AFTER INSERT ON training_episodes BEGIN
    UPDATE experiments
       SET total_episodes = total_episodes + 1,
           best_reward = coalesce(max(best_reward, NEW.total_reward), best_reward, NEW.total_reward)
     WHERE id = NEW.experiment_id;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER training_episodes_deleted AFTER DELETE ON training_episodes BEGIN
    UPDATE experiments
       SET total_episodes = total_episodes - 1,
           best_reward = CASE WHEN OLD.total_reward IS NULL OR OLD.total_reward < best_reward THEN best_reward
                              ELSE (SELECT max(total_reward) FROM training_episodes WHERE experiment_id = OLD.experiment_id) END
     WHERE id = OLD.experiment_id;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER training_episodes_updated AFTER UPDATE OF experiment_id, total_reward ON training_episodes
WHEN OLD.experiment_id <> NEW.experiment_id OR OLD.total_reward IS NOT NEW.total_reward BEGIN
    UPDATE experiments
       SET total_episodes = (total_episodes - (id = OLD.experiment_id)) + (id = NEW.experiment_id),
           best_reward = (SELECT max(total_reward) FROM training_episodes WHERE experiment_id = experiments.id)
     WHERE id IN (OLD.experiment_id, NEW.experiment_id);
END;
-- +goose StatementEnd

-- The rows of a deleted experiment go with it, also on a connection on which foreign
-- keys are not enforced (the default of the sqlite3 shell and of Python).

-- +goose StatementBegin
CREATE TRIGGER experiments_deleted AFTER DELETE ON experiments BEGIN
    DELETE FROM training_steps WHERE experiment_id = OLD.id;
    DELETE FROM training_episodes WHERE experiment_id = OLD.id;
    DELETE FROM model_checkpoints WHERE experiment_id = OLD.id;
    DELETE FROM validation_results WHERE experiment_id = OLD.id;
    DELETE FROM baseline_comparisons WHERE experiment_id = OLD.id;
END;
-- +goose StatementEnd

CREATE VIEW real_time_training AS
SELECT e.experiment_name,
       CASE WHEN e.status = 'running'
             AND EXISTS (SELECT 1 FROM training_runs r WHERE r.experiment_id = e.id)
             AND NOT EXISTS (SELECT 1 FROM training_runs r WHERE r.experiment_id = e.id
                               AND coalesce(r.last_heartbeat, r.started_at) >= strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', '-2 minutes'))
            THEN 'interrupted' ELSE e.status END AS status, -- running without a sign of life for 2 min is shown as interrupted
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
  LEFT JOIN training_episodes t ON t.rowid =
       (SELECT rowid FROM training_episodes WHERE experiment_id = e.id ORDER BY episode_number DESC LIMIT 1)
  LEFT JOIN training_steps s ON s.rowid =
       (SELECT rowid FROM training_steps WHERE experiment_id = e.id ORDER BY episode_number DESC, step_number DESC LIMIT 1);

CREATE VIEW performance_analytics AS
SELECT e.experiment_name,
       count(t.episode_number) AS episodes_completed,
       avg(t.total_reward) AS avg_reward,
       max(t.total_reward) AS best_reward,
       (SELECT CASE WHEN count(d.total_reward) > 1
                    THEN sqrt(sum((d.total_reward - m.mean) * (d.total_reward - m.mean)) / (count(d.total_reward) - 1)) END
          FROM training_episodes d,
               (SELECT avg(total_reward) AS mean FROM training_episodes WHERE experiment_id = e.id) m
         WHERE d.experiment_id = e.id) AS reward_std, -- of the sample (n - 1)
       avg(t.passenger_throughput) AS avg_passenger_throughput,
       avg(t.avg_waiting_time) AS avg_waiting_time,
       avg(t.completed_trips) AS avg_completed_trips,
       (SELECT total_reward FROM training_episodes WHERE experiment_id = e.id ORDER BY episode_number LIMIT 1) AS first_reward,
       (SELECT total_reward FROM training_episodes WHERE experiment_id = e.id ORDER BY episode_number DESC LIMIT 1) AS latest_reward
  FROM experiments e
  LEFT JOIN training_episodes t ON t.experiment_id = e.id
 GROUP BY e.experiment_name;

-- +goose Down
DROP VIEW performance_analytics;
DROP VIEW real_time_training;
DROP TRIGGER experiments_deleted;
DROP TABLE baseline_comparisons;
DROP TABLE validation_results;
DROP TABLE model_checkpoints;
DROP TABLE training_steps;
DROP TABLE training_episodes;
DROP TABLE dead_letters;
DROP TABLE training_runs;
DROP TABLE experiments;
