-- The tables of a ledger, format v1. docs/ledger-format.md says what they mean.

CREATE TABLE ledger (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    format INTEGER NOT NULL,
    id     BLOB    NOT NULL CHECK (length(id) = 32),
    epoch  INTEGER NOT NULL CHECK (epoch >= 0)
) STRICT;

CREATE TABLE events (
    seq     INTEGER PRIMARY KEY,
    stream  INTEGER NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    type    TEXT    NOT NULL,
    schema  INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    wall    INTEGER NOT NULL,
    actor   TEXT    NOT NULL,
    cause   TEXT,
    payload BLOB,
    erased  BLOB,
    prev    BLOB    NOT NULL CHECK (length(prev) = 32),
    hash    BLOB    NOT NULL CHECK (length(hash) = 32),
    CHECK ((payload IS NULL) = (erased IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX events_by_stream ON events (stream, version);

CREATE TABLE streams (
    stream  INTEGER PRIMARY KEY,
    name    TEXT    NOT NULL UNIQUE,
    version INTEGER NOT NULL CHECK (version > 0),
    hash    BLOB    NOT NULL CHECK (length(hash) = 32),
    status  TEXT    NOT NULL,
    ended   INTEGER NOT NULL CHECK (ended IN (0, 1)),
    started INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    wall    INTEGER NOT NULL,
    summary TEXT    NOT NULL,
    digest  BLOB    NOT NULL CHECK (length(digest) = 32)
) STRICT;
-- What is still running must be found at every start without reading what has ended.
CREATE INDEX streams_running ON streams (stream) WHERE ended = 0;

CREATE TABLE commits (
    number INTEGER PRIMARY KEY,
    epoch  INTEGER NOT NULL CHECK (epoch > 0),
    first  INTEGER NOT NULL,
    events INTEGER NOT NULL CHECK (events > 0),
    prev   BLOB    NOT NULL CHECK (length(prev) = 32),
    hash   BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;

-- Without bytes the blob is a file.
CREATE TABLE blobs (
    blob   INTEGER PRIMARY KEY,
    digest BLOB    NOT NULL UNIQUE CHECK (length(digest) = 32),
    size   INTEGER NOT NULL CHECK (size >= 0),
    bytes  BLOB    CHECK (length(bytes) = size)
) STRICT;

CREATE TABLE cursors (
    name    TEXT    PRIMARY KEY,
    stream  TEXT    NOT NULL,
    version INTEGER NOT NULL,
    digest  BLOB    NOT NULL CHECK (length(digest) = 32)
) STRICT, WITHOUT ROWID;

CREATE TABLE snapshots (
    stream  TEXT    PRIMARY KEY,
    version INTEGER NOT NULL,
    format  TEXT    NOT NULL,
    bytes   BLOB    NOT NULL,
    digest  BLOB    NOT NULL CHECK (length(digest) = 32)
) STRICT;

CREATE TRIGGER ledger_stays BEFORE DELETE ON ledger
BEGIN SELECT RAISE(ABORT, 'a ledger keeps its identity'); END;

CREATE TRIGGER ledger_keeps_identity BEFORE UPDATE ON ledger
WHEN new.id IS NOT old.id OR new.format < old.format OR new.epoch < old.epoch
BEGIN SELECT RAISE(ABORT, 'a ledger keeps its identity, and its epoch only rises'); END;

CREATE TRIGGER events_stay BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events are only ever appended'); END;

-- The one change an event may see: its payload gives way to the digest of the payload.
CREATE TRIGGER events_are_erased_or_kept BEFORE UPDATE ON events
WHEN old.payload IS NULL OR new.payload IS NOT NULL OR length(new.erased) IS NOT 32
    OR new.seq IS NOT old.seq OR new.stream IS NOT old.stream OR new.version IS NOT old.version OR new.type IS NOT old.type
    OR new.schema IS NOT old.schema OR new.at IS NOT old.at OR new.wall IS NOT old.wall OR new.actor IS NOT old.actor
    OR new.cause IS NOT old.cause OR new.prev IS NOT old.prev OR new.hash IS NOT old.hash
BEGIN SELECT RAISE(ABORT, 'an event can only be erased'); END;

CREATE TRIGGER commits_stay BEFORE DELETE ON commits
BEGIN SELECT RAISE(ABORT, 'commits are only ever appended'); END;

CREATE TRIGGER commits_are_kept BEFORE UPDATE ON commits
BEGIN SELECT RAISE(ABORT, 'commits are only ever appended'); END;
