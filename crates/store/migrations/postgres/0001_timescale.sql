-- Version 1 with TimescaleDB: hypertables, compressed by patient, and continuous aggregates.

SELECT create_hypertable('message', by_range('kept_at', INTERVAL '7 days'), create_default_indexes => false);
ALTER TABLE message SET (timescaledb.compress, timescaledb.compress_segmentby = 'patient, kit', timescaledb.compress_orderby = 'id');
SELECT add_compression_policy('message', compress_after => INTERVAL '14 days');

-- The readings by time of measurement, for the aggregates: derived from `message` by the upkeep. A kit may spool for 30 days: what is older is
-- compressed.
CREATE TABLE reading (
    measured_at TIMESTAMPTZ NOT NULL,
    patient     INT NOT NULL,
    vital       TEXT COLLATE "C" NOT NULL,
    value       FLOAT8 NOT NULL,
    doubtful    INT NOT NULL
);
SELECT create_hypertable('reading', by_range('measured_at', INTERVAL '7 days'), create_default_indexes => false);
ALTER TABLE reading SET (timescaledb.compress, timescaledb.compress_segmentby = 'patient, vital', timescaledb.compress_orderby = 'measured_at');
SELECT add_compression_policy('reading', compress_after => INTERVAL '35 days');

CREATE MATERIALIZED VIEW reading_hour WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT patient, vital, time_bucket(INTERVAL '1 hour', measured_at) AS bucket,
       count(*) AS readings, sum(doubtful) AS doubtful, min(value) AS low, max(value) AS high, sum(value) AS total
FROM reading GROUP BY patient, vital, time_bucket(INTERVAL '1 hour', measured_at) WITH NO DATA;
SELECT add_continuous_aggregate_policy('reading_hour', start_offset => NULL, end_offset => INTERVAL '1 hour',
    schedule_interval => INTERVAL '30 minutes');

CREATE MATERIALIZED VIEW reading_day WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT patient, vital, time_bucket(INTERVAL '1 day', measured_at) AS bucket,
       count(*) AS readings, sum(doubtful) AS doubtful, min(value) AS low, max(value) AS high, sum(value) AS total
FROM reading GROUP BY patient, vital, time_bucket(INTERVAL '1 day', measured_at) WITH NO DATA;
SELECT add_continuous_aggregate_policy('reading_day', start_offset => NULL, end_offset => INTERVAL '1 day',
    schedule_interval => INTERVAL '6 hours');
