// Package export writes an experiment from a database into files for other
// programs: CSV, JSON lines or Parquet, one file per table, with a manifest that
// says what is in them.
//
// Rows are streamed; memory does not grow with their number. The files appear
// under their names only when all of them are whole and on disk, the manifest last.
//
// # Formats
//
// CSV follows RFC 4180. A null is an empty field, an empty text is two quotes.
// Vectors are JSON lists. Nothing is changed on behalf of spreadsheets unless
// [Options].Spreadsheet asks for it.
//
// JSON is one object per line. The lines of the tables of records are what
// [record.Parse] reads back as the same row; where a row comes from stands in the
// member _row. Nulls are left out.
//
// Parquet has 64-bit integers, doubles, UTC timestamps in microseconds, texts, the
// logical type JSON, and lists of single-precision numbers for vectors, compressed
// with zstd.
//
// SQLite is a Greenwave database of that one experiment, with its runs, cursors and dead
// letters, so that every command, and verify, reads it.
//
// TensorBoard is one event file of scalars: what episodes, steps, validations and
// checkpoints say in numbers, by tag.
package export
