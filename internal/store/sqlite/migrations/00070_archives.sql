-- +goose Up
-- What of an experiment is in a store of files instead of here. The experiment itself
-- stays, with its runs, checkpoints, validations and comparisons: it is listed as before.

ALTER TABLE experiments ADD COLUMN archived_at TIMESTAMP TEXT; -- When its episodes, steps and resources went to an archive; null while they are here.

CREATE TABLE archives ( -- What was moved to a store of files, and where it is.
    id                       TEXT NOT NULL CHECK (length(id) = 64), -- SHA-256 of the manifest in hexadecimal, under which the store has it.
    experiment_id            UUID TEXT NOT NULL, -- The experiment; it may have been deleted since.
    experiment_name          TEXT NOT NULL, -- Its name when it was archived.
    what                     TEXT NOT NULL CHECK (what IN ('experiment', 'steps')), -- experiment: all its rows; steps: some of its steps.
    location                 TEXT NOT NULL, -- Which store, without secrets.
    row_count                INTEGER NOT NULL, -- Rows in the files. [rows]
    size_bytes               INTEGER NOT NULL, -- Size of the files. [bytes]
    archived_at              TIMESTAMP TEXT NOT NULL, -- When the rows left the database.
    restored_at              TIMESTAMP TEXT, -- When they were brought back; null while they are not here.
    created_by               UUID TEXT, -- The owner of the experiment.
    PRIMARY KEY (experiment_id, id)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE archives;
ALTER TABLE experiments DROP COLUMN archived_at;
