-- The table that the services Vagt is compared with write: one row a message against doubles, one row a reading.
CREATE TABLE message (kit text NOT NULL, seq bigint NOT NULL, PRIMARY KEY (kit, seq));
CREATE TABLE reading (
    kit text NOT NULL, seq bigint NOT NULL, place smallint NOT NULL, vital text NOT NULL, value double precision NOT NULL,
    unit text NOT NULL, measured_at timestamptz NOT NULL, device text NOT NULL, clock text NOT NULL, flags text[] NOT NULL
);
