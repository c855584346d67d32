-- Export files. Days are YYYY-MM-DD of the arrival, UTC, both ends inclusive.
-- Version 0 is the last build of a file that still grows; a closed file is 1,
-- and a rewritten one counts on.

CREATE TABLE export_files (
	product_id BIGINT NOT NULL,
	kind       TEXT NOT NULL,
	first_day  TEXT NOT NULL,
	last_day   TEXT NOT NULL,
	version    BIGINT NOT NULL,
	object_key TEXT NOT NULL,
	row_count  BIGINT NOT NULL,
	csv_bytes  BIGINT NOT NULL,
	zip_bytes  BIGINT NOT NULL,
	watermark  TEXT NOT NULL, -- what it was built from
	built      BIGINT NOT NULL,
	PRIMARY KEY (product_id, kind, first_day, last_day, version)
);
CREATE INDEX export_files_days ON export_files (first_day, last_day);

-- Days that are closed and whose files are all built.
CREATE TABLE export_days (
	day       TEXT PRIMARY KEY,
	watermark TEXT NOT NULL,
	built     BIGINT NOT NULL
);

-- Objects that nobody will want from some time on: builds that were begun and
-- not finished, and builds of files that still grow.
CREATE TABLE export_leavings (
	object_key   TEXT PRIMARY KEY,
	delete_after BIGINT NOT NULL
);

-- Sessions that were logged out a short while ago, so that logging the same
-- one out again can be understood.
CREATE TABLE ended_sessions (
	id_hash TEXT PRIMARY KEY,
	user_id TEXT NOT NULL,
	ended   BIGINT NOT NULL
);
