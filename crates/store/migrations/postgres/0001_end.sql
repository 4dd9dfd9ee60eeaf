-- Version 1, of both layouts: what stands on the aggregates.

CREATE VIEW v_reading_hour AS
SELECT p.patient, a.vital, extract(epoch FROM a.bucket)::float8 AS at, a.readings, a.doubtful, a.low, a.high, a.total / a.readings AS mean
FROM reading_hour a JOIN patient_key p ON p.key = a.patient;

CREATE VIEW v_reading_day AS
SELECT p.patient, a.vital, extract(epoch FROM a.bucket)::float8 AS at, a.readings, a.doubtful, a.low, a.high, a.total / a.readings AS mean
FROM reading_day a JOIN patient_key p ON p.key = a.patient;
