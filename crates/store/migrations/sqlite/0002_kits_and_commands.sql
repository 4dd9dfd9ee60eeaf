-- Version 2. Kits that several people share and kits that enrol themselves; what the clinic asks of kits, and what became of it.

-- The roster's kits again: `patient` is absent on a kit that several people share, and `patients` (a JSON list of ids) then says whose it is.
-- An empty `secret_sha256`: the kit has not enrolled yet, and can't sign in.
DROP VIEW v_kits;

CREATE TABLE kit_of_version_2 (
    id            TEXT PRIMARY KEY,
    patient       TEXT REFERENCES patient,
    patients      TEXT NOT NULL,
    secret_sha256 TEXT NOT NULL,
    since         INTEGER NOT NULL,
    devices       TEXT NOT NULL,
    revoked       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO kit_of_version_2 SELECT id, patient, '[]', secret_sha256, since, devices, revoked FROM kit;
DROP TABLE kit;
ALTER TABLE kit_of_version_2 RENAME TO kit;

-- A one-time code that was given out for a kit: its hash, and, once it was used, the hash of the secret that it was used with.
CREATE TABLE enrolment (
    kit           TEXT PRIMARY KEY REFERENCES kit,
    code_sha256   TEXT NOT NULL UNIQUE,
    expires_at    INTEGER NOT NULL,
    secret_sha256 TEXT
) STRICT, WITHOUT ROWID;

-- What was asked of a kit. `body` is JSON, as the wire has it beyond these columns. `state`: waiting, taken, done, read, failed, expired.
CREATE TABLE command (
    id         TEXT PRIMARY KEY,
    kit        TEXT NOT NULL,
    patient    TEXT,
    command    TEXT NOT NULL,
    by         TEXT,
    issued_at  INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    body       TEXT NOT NULL,
    state      TEXT NOT NULL,
    changed_at INTEGER NOT NULL,
    detail     TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX command_waiting ON command (expires_at) WHERE state = 'waiting';
CREATE INDEX command_of ON command (kit, issued_at);

-- What kits said of commands, as it came, each outcome of a command once.
CREATE TABLE receipt (
    kit         TEXT NOT NULL,
    command     TEXT NOT NULL,
    outcome     TEXT NOT NULL,
    at          INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    detail      TEXT,
    PRIMARY KEY (kit, command, outcome)
) STRICT, WITHOUT ROWID;

-- Published, as before: a kit that several people share has a row for each of them.
CREATE VIEW v_kits AS
SELECT
    k.id AS kit,
    coalesce(k.patient, p.value) AS patient,
    k.revoked,
    k.since / 1e9 AS since,
    h.online,
    h.at / 1e9 AS heard_at,
    e.seq AS last_seq
FROM kit k
LEFT JOIN json_each(k.patients) p
LEFT JOIN heard h ON h.kit = k.id
LEFT JOIN kit_key key ON key.kit = k.id
LEFT JOIN kit_end e ON e.kit = key.key;
