-- A role for Grafana that reads what the dashboards show, of all experiments, and
-- writes nothing. Run it once as the owner of greenwave's tables, then give the role a
-- password with psql's \password greenwave_grafana.
BEGIN;
CREATE ROLE greenwave_grafana LOGIN;
GRANT SELECT ON experiments, training_runs, training_episodes, training_steps, run_resources, alerts,
    real_time_training, performance_analytics, convergence_detection TO greenwave_grafana;
CREATE POLICY grafana_read ON experiments FOR SELECT TO greenwave_grafana USING (true);
CREATE POLICY grafana_read ON training_runs FOR SELECT TO greenwave_grafana USING (true);
CREATE POLICY grafana_read ON training_episodes FOR SELECT TO greenwave_grafana USING (true);
CREATE POLICY grafana_read ON training_steps FOR SELECT TO greenwave_grafana USING (true);
CREATE POLICY grafana_read ON run_resources FOR SELECT TO greenwave_grafana USING (true);
CREATE POLICY grafana_read ON alerts FOR SELECT TO greenwave_grafana USING (true);
COMMIT;
