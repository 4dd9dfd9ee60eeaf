-- Version 3. The journal, versions of programmes, several programmes of one patient, shadow alerts. See docs/decisions/0072.

-- What was decided and by whom. Each stamp is used once. `body` is JSON, as the type `Journal` has it.
CREATE TABLE journal (
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL UNIQUE,
    by      TEXT,
    patient INTEGER REFERENCES patient_key,
    entry   TEXT NOT NULL,
    body    TEXT NOT NULL
) STRICT;
CREATE INDEX journal_of ON journal (patient, at) WHERE patient IS NOT NULL;
CREATE INDEX journal_entry ON journal (entry, at);
CREATE TRIGGER journal_stays BEFORE UPDATE ON journal BEGIN SELECT raise(ABORT, 'the journal is append only'); END;
CREATE TRIGGER journal_is_kept BEFORE DELETE ON journal BEGIN SELECT raise(ABORT, 'the journal is append only'); END;

-- Programmes as they were proposed; never edited.
CREATE TABLE programme_version (
    id          TEXT NOT NULL,
    version     INTEGER NOT NULL,
    text        TEXT NOT NULL,
    sha256      TEXT NOT NULL,
    proposed_by TEXT NOT NULL,
    proposed_at INTEGER NOT NULL,
    note        TEXT NOT NULL,
    PRIMARY KEY (id, version)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER programme_version_stays BEFORE UPDATE ON programme_version
BEGIN SELECT raise(ABORT, 'a version of a programme is never edited'); END;
CREATE TRIGGER programme_version_is_kept BEFORE DELETE ON programme_version
BEGIN SELECT raise(ABORT, 'a version of a programme is kept'); END;

-- The roster's patients: `programmes` is a JSON list of ids, `stratum` the id of a risk level.
ALTER TABLE patient ADD COLUMN programmes TEXT NOT NULL DEFAULT '[]';
UPDATE patient SET programmes = json_array(programme);
ALTER TABLE patient DROP COLUMN programme;
ALTER TABLE patient ADD COLUMN stratum TEXT;

-- What a version that pages nobody would have raised: the latest state of each alert. `body` is JSON.
CREATE TABLE shadow_alert (
    key       INTEGER PRIMARY KEY,
    programme TEXT NOT NULL,
    version   INTEGER NOT NULL,
    id        BLOB NOT NULL,
    patient   TEXT NOT NULL,
    raised_at INTEGER NOT NULL,
    body      TEXT NOT NULL,
    UNIQUE (programme, version, id)
) STRICT;
CREATE INDEX shadow_alert_of ON shadow_alert (programme, version, raised_at);

-- Where in time each block of 4096 messages (by id) lies: what was recorded between two times is found without a look at all of them.
CREATE TABLE message_block (
    block INTEGER PRIMARY KEY,
    first INTEGER NOT NULL,
    last  INTEGER NOT NULL
) STRICT;
-- Block by block, in the order of the table: grouped, everything would be sorted in memory first.
WITH RECURSIVE b (block) AS (
    SELECT min(id) >> 12 FROM message
    UNION ALL
    SELECT block + 1 FROM b WHERE block < (SELECT max(id) >> 12 FROM message)
)
INSERT INTO message_block
SELECT block,
    (SELECT min(recorded_at) FROM message WHERE id >= block << 12 AND id < (block + 1) << 12),
    (SELECT max(recorded_at) FROM message WHERE id >= block << 12 AND id < (block + 1) << 12) AS last
FROM b WHERE last IS NOT NULL;
