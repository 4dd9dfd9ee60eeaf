-- Version 1 without TimescaleDB: partitions by month, which the upkeep makes ahead, and aggregates that it adds up.

-- What no month was made for.
CREATE TABLE message_rest PARTITION OF message DEFAULT;

-- Makes a month's partition, if it is missing, and brings what waited for it.
CREATE FUNCTION make_month(month DATE) RETURNS BOOLEAN LANGUAGE plpgsql AS $$
DECLARE
    name TEXT := 'message_' || to_char(month, 'YYYY_MM');
    first TIMESTAMPTZ := month::timestamp AT TIME ZONE 'UTC';
    next TIMESTAMPTZ := (month + INTERVAL '1 month') AT TIME ZONE 'UTC';
BEGIN
    IF to_regclass('vagt.' || name) IS NOT NULL THEN RETURN false; END IF;
    EXECUTE format('CREATE TABLE vagt.%I (LIKE vagt.message INCLUDING ALL)', name);
    EXECUTE format('WITH moved AS (DELETE FROM vagt.message_rest WHERE kept_at >= %L AND kept_at < %L RETURNING *)
                    INSERT INTO vagt.%I SELECT * FROM moved', first, next, name);
    EXECUTE format('ALTER TABLE vagt.message ATTACH PARTITION vagt.%I FOR VALUES FROM (%L) TO (%L)', name, first, next);
    RETURN true;
END $$;
SELECT make_month((date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => ahead))::date)
FROM generate_series(0, 2) AS ahead;

-- Lets go of a month.
CREATE FUNCTION drop_month(name TEXT) RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE vagt.message DETACH PARTITION vagt.%I', name);
    EXECUTE format('DROP TABLE vagt.%I', name);
END $$;

CREATE TABLE reading_hour (
    patient  INT NOT NULL,
    vital    TEXT COLLATE "C" NOT NULL,
    bucket   TIMESTAMPTZ NOT NULL,
    readings BIGINT NOT NULL,
    doubtful BIGINT NOT NULL,
    low      FLOAT8 NOT NULL,
    high     FLOAT8 NOT NULL,
    total    FLOAT8 NOT NULL,
    PRIMARY KEY (patient, vital, bucket)
) WITH (fillfactor = 70);
CREATE TABLE reading_day (LIKE reading_hour INCLUDING ALL) WITH (fillfactor = 70);
