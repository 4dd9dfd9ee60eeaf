-- Version 1. Times are nanoseconds since 1970 (UTC). See docs/decisions/0020 for why messages and readings carry no index.

-- Long texts that repeat, each as a small number. Rows are only ever added.
CREATE TABLE kit_key (
    key INTEGER PRIMARY KEY,
    kit TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE patient_key (
    key     INTEGER PRIMARY KEY,
    patient TEXT NOT NULL UNIQUE
) STRICT;

-- What a series of readings has in common. Flags are separated by spaces.
CREATE TABLE channel (
    key    INTEGER PRIMARY KEY,
    device TEXT NOT NULL,
    vital  TEXT NOT NULL,
    unit   TEXT NOT NULL,
    clock  TEXT NOT NULL,
    flags  TEXT NOT NULL,
    UNIQUE (device, vital, unit, clock, flags)
) STRICT;

-- One row for each (kit, seq) ever stored: the dedupe mark. A message that is in quarantine as a whole has its mark here and no patient.
-- It is found by its chains alone: `previous_of_kit` is the kit's message before it, whose seq is lower (none for the first and for strays);
-- `previous_of_patient` is the patient's message recorded before it.
-- Its readings and answers are the rows from *_from, *_count of them: rowids are given in one piece by the single writer.
-- `latest`: nothing in the message, or in those before it in the patient's chain, was recorded or measured later. No foreign keys on this
-- table and the next ones: the keys are made in the same transaction, and a check of each would be a look-up for every reading.
CREATE TABLE message (
    id                  INTEGER PRIMARY KEY,
    kit                 INTEGER NOT NULL,
    seq                 INTEGER NOT NULL,
    previous_of_kit     INTEGER,
    hash                BLOB NOT NULL,
    patient             INTEGER,
    previous_of_patient INTEGER,
    session             BLOB,
    sent_at             INTEGER,
    recorded_at         INTEGER NOT NULL,
    latest              INTEGER NOT NULL,
    reading_from        INTEGER NOT NULL,
    reading_count       INTEGER NOT NULL,
    answer_from         INTEGER NOT NULL,
    answer_count        INTEGER NOT NULL
) STRICT;

-- Where each chain ends.
CREATE TABLE kit_end (
    kit     INTEGER PRIMARY KEY,
    id      INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    chained INTEGER NOT NULL
) STRICT;

CREATE TABLE patient_end (
    patient INTEGER PRIMARY KEY,
    id      INTEGER NOT NULL,
    latest  INTEGER NOT NULL
) STRICT;

-- Every 256th message of a kit's chain, from where to walk back.
CREATE TABLE kit_mark (
    kit INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    id  INTEGER NOT NULL,
    PRIMARY KEY (kit, seq)
) STRICT, WITHOUT ROWID;

-- Messages that came after one of a higher seq: not in the kit's chain.
CREATE TABLE stray (
    kit INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    id  INTEGER NOT NULL,
    PRIMARY KEY (kit, seq)
) STRICT, WITHOUT ROWID;

-- Append only. The value is mantissa / 10^scale, so that 93 and 93.0 stay different; what does not fit that is the mantissa as text.
CREATE TABLE reading (
    id          INTEGER PRIMARY KEY,
    channel     INTEGER NOT NULL,
    mantissa    ANY NOT NULL,
    scale       INTEGER NOT NULL,
    measured_at INTEGER NOT NULL
) STRICT;

CREATE TABLE answer (
    id            INTEGER PRIMARY KEY,
    questionnaire TEXT NOT NULL,
    version       INTEGER NOT NULL,
    question      TEXT NOT NULL,
    answer        TEXT NOT NULL,
    answered_at   INTEGER NOT NULL
) STRICT;

CREATE TABLE quarantine (
    id          INTEGER PRIMARY KEY,
    kit         INTEGER NOT NULL REFERENCES kit_key,
    seq         INTEGER,
    hash        BLOB NOT NULL,
    recorded_at INTEGER NOT NULL,
    bytes       BLOB NOT NULL,
    reason      TEXT NOT NULL,
    whole       INTEGER NOT NULL
) STRICT;

-- The alert itself is `body`, JSON; the other columns are there to find it.
CREATE TABLE alert (
    key           INTEGER PRIMARY KEY,
    id            BLOB NOT NULL UNIQUE,
    patient       INTEGER NOT NULL REFERENCES patient_key,
    family        TEXT NOT NULL,
    open          INTEGER NOT NULL,
    state         TEXT NOT NULL,
    mark          TEXT NOT NULL,
    raised_at     INTEGER NOT NULL,
    waiting_since INTEGER NOT NULL,
    changed_at    INTEGER NOT NULL,
    body          TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX alert_open_once ON alert (patient, family) WHERE open = 1;
CREATE INDEX alert_of ON alert (patient, raised_at);

CREATE TABLE alert_event (
    id    INTEGER PRIMARY KEY,
    alert INTEGER NOT NULL,
    kind  TEXT NOT NULL,
    at    INTEGER NOT NULL,
    by    TEXT,
    mark  TEXT NOT NULL,
    text  TEXT NOT NULL
) STRICT;
CREATE INDEX alert_event_of ON alert_event (alert);

CREATE TABLE assessment (
    id          INTEGER PRIMARY KEY,
    patient     INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    was         TEXT NOT NULL,
    colour      TEXT NOT NULL,
    blue        INTEGER NOT NULL,
    late        INTEGER NOT NULL,
    findings    TEXT NOT NULL
) STRICT;

-- The roster.
CREATE TABLE patient (
    id        TEXT PRIMARY KEY,
    name      TEXT NOT NULL,
    born      INTEGER,
    programme TEXT NOT NULL,
    own       TEXT NOT NULL,
    simulated INTEGER NOT NULL,
    since     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE kit (
    id            TEXT PRIMARY KEY,
    patient       TEXT NOT NULL REFERENCES patient,
    secret_sha256 TEXT NOT NULL,
    since         INTEGER NOT NULL,
    devices       TEXT NOT NULL,
    revoked       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The last that was heard of each kit.
CREATE TABLE heard (
    kit    TEXT PRIMARY KEY,
    at     INTEGER NOT NULL,
    online INTEGER NOT NULL,
    status TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Signing in.
CREATE TABLE account (
    user          TEXT PRIMARY KEY,
    name          TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    role          TEXT NOT NULL,
    language      TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE web_session (
    id         TEXT PRIMARY KEY,
    data       TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX web_session_expiry ON web_session (expires_at);

-- Written by every check of whether the store takes data.
CREATE TABLE ping (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    count INTEGER NOT NULL
) STRICT;
INSERT INTO ping VALUES (1, 0);

-- Published: dashboards read these and nothing else. Times are seconds since 1970. No names.
-- The cross joins fix the order: a patient finds the messages of the chain, a message finds its readings, never the other way round.
CREATE VIEW v_readings AS
SELECT
    p.patient,
    k.kit,
    m.seq,
    c.vital,
    c.unit,
    CASE
        WHEN typeof(r.mantissa) = 'integer' THEN r.mantissa / (CASE r.scale
            WHEN 0 THEN 1e0 WHEN 1 THEN 1e1 WHEN 2 THEN 1e2 WHEN 3 THEN 1e3 WHEN 4 THEN 1e4
            WHEN 5 THEN 1e5 WHEN 6 THEN 1e6 WHEN 7 THEN 1e7 WHEN 8 THEN 1e8 ELSE 1e9 END)
        ELSE CAST(r.mantissa AS REAL)
    END AS value,
    r.measured_at / 1e9 AS measured_at,
    m.recorded_at / 1e9 AS recorded_at,
    m.latest / 1e9 AS latest,
    c.clock,
    c.device,
    c.flags
FROM patient_key p
CROSS JOIN patient_end e ON e.patient = p.key
CROSS JOIN json_each((
    WITH RECURSIVE chain (id) AS (
        SELECT e.id
        UNION ALL
        SELECT b.previous_of_patient FROM chain CROSS JOIN message b ON b.id = chain.id
        WHERE b.previous_of_patient IS NOT NULL
    )
    SELECT json_group_array(id) FROM chain
)) link
CROSS JOIN message m ON m.id = link.value
CROSS JOIN kit_key k ON k.key = m.kit
CROSS JOIN reading r ON r.id >= m.reading_from AND r.id < m.reading_from + m.reading_count
CROSS JOIN channel c ON c.key = r.channel;

CREATE VIEW v_alerts AS
SELECT
    lower(hex(a.id)) AS alert,
    p.patient,
    a.family,
    a.state,
    a.open,
    a.mark,
    a.raised_at / 1e9 AS raised_at,
    a.waiting_since / 1e9 AS waiting_since,
    a.changed_at / 1e9 AS changed_at
FROM alert a
JOIN patient_key p ON p.key = a.patient;

CREATE VIEW v_kits AS
SELECT
    k.id AS kit,
    k.patient,
    k.revoked,
    k.since / 1e9 AS since,
    h.online,
    h.at / 1e9 AS heard_at,
    e.seq AS last_seq
FROM kit k
LEFT JOIN heard h ON h.kit = k.id
LEFT JOIN kit_key key ON key.kit = k.id
LEFT JOIN kit_end e ON e.kit = key.key;
