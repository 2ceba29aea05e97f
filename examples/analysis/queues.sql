-- Queues and waiting by approach, with DuckDB, from steps in Parquet.
--
--     greenwave export corridor-s1 --format parquet --out exports/corridor-s1
--     cd exports/corridor-s1 && duckdb < …/examples/analysis/queues.sql
--
-- It reads training_steps.parquet in the folder that it is started in; read_parquet takes
-- many files as well ('exports/*/training_steps.parquet'). queue_lengths is an object of
-- intersections, each an object of approaches: halting vehicles.

CREATE OR REPLACE TEMP VIEW queues AS
WITH at_intersections AS (
    SELECT episode_number, step_number, q.key AS intersection, q.value AS approaches
    FROM read_parquet('training_steps.parquet'), json_each(queue_lengths) AS q
    WHERE queue_lengths IS NOT NULL
)
SELECT episode_number, step_number, intersection, a.key AS approach, CAST(a.value AS DOUBLE) AS queue
FROM at_intersections, json_each(approaches) AS a;

-- Which approach is worst, over all logged steps?
SELECT intersection, approach,
       round(avg(queue), 2) AS mean_queue,
       quantile_cont(queue, 0.95) AS queue_95,
       max(queue) AS longest,
       count(*) AS steps
FROM queues
GROUP BY intersection, approach
ORDER BY mean_queue DESC, intersection, approach;

-- Does it get better? The first and the last tenth of the episodes.
WITH parts AS (
    SELECT *, ntile(10) OVER (ORDER BY episode_number) AS tenth FROM (SELECT DISTINCT episode_number FROM queues)
)
SELECT intersection,
       round(avg(queue) FILTER (tenth = 1), 2) AS first_tenth,
       round(avg(queue) FILTER (tenth = 10), 2) AS last_tenth
FROM queues JOIN parts USING (episode_number)
GROUP BY intersection
ORDER BY intersection;
