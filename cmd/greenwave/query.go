package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

type queryCmd struct {
	CSV         bool   `name:"csv" xor:"form" help:"Print comma-separated values."`
	SQL         string `arg:"" name:"sql" help:"One statement that reads; - reads it from the standard input."`
	Archived    string `placeholder:"EXPERIMENT" help:"Ask a copy of this experiment with its archived rows, made for this query: a SQLite database with the same tables and views."`
	archiveFlag `embed:""`
	Limit       int `default:"1000" help:"Rows of a printed table; --json and --csv print all. 0: no limit."`
}

// Run runs a statement in a read-only transaction.
func (c *queryCmd) Run(ctx context.Context, a *app) error {
	if c.CSV && a.cli.JSON {
		return &usageError{errors.New("--json and --csv together"), "choose one"}
	}
	sql := c.SQL
	if sql == "-" {
		data, err := io.ReadAll(os.Stdin)
		if err != nil {
			return fmt.Errorf("reading the statement: %w", err)
		}
		sql = string(data)
	}
	if strings.TrimSpace(sql) == "" {
		return &usageError{errors.New("the statement is empty"), `try greenwave query "SELECT * FROM real_time_training"`}
	}
	s, end, err := c.open(ctx, a)
	if err != nil {
		return err
	}
	defer end()
	t, err := s.Query(ctx, sql)
	if err != nil {
		return fmt.Errorf("query: %w", err)
	}
	switch {
	case a.cli.JSON:
		return a.queryJSON(t)
	case c.CSV:
		return a.queryCSV(t)
	}
	return a.queryTable(t, c.Limit)
}

// open opens the database, or the copy with archived rows.
func (c *queryCmd) open(ctx context.Context, a *app) (store.Store, func(), error) {
	if c.Archived != "" {
		return c.openArchived(ctx, a, c.Archived)
	}
	s, err := a.openReader(ctx)
	if err != nil {
		return nil, nil, err
	}
	return s, s.Close, nil
}

// queryJSON writes one object a line.
func (a *app) queryJSON(t *store.Table) error {
	var line []byte
	for row, err := range t.Rows {
		if err != nil {
			return fmt.Errorf("query: %w", err)
		}
		line = append(line[:0], '{')
		for i, v := range row {
			if i > 0 {
				line = append(line, ',')
			}
			name, err := json.Marshal(t.Columns[i])
			if err != nil {
				return err
			}
			value, err := json.Marshal(jsonValue(v))
			if err != nil {
				return fmt.Errorf("query: column %s: %w", t.Columns[i], err)
			}
			line = append(append(append(line, name...), ':'), value...)
		}
		if _, err := a.out.Write(append(line, '}', '\n')); err != nil {
			return err
		}
	}
	return nil
}

// jsonValue makes a value one that JSON can hold: numbers that it cannot are null.
func jsonValue(v any) any {
	if f, ok := v.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
		return nil
	}
	return v
}

// queryCSV writes a header and one line a row; null is empty.
func (a *app) queryCSV(t *store.Table) error {
	w := csv.NewWriter(a.out)
	if err := w.Write(t.Columns); err != nil {
		return err
	}
	record := make([]string, len(t.Columns))
	for row, err := range t.Rows {
		if err != nil {
			w.Flush()
			return fmt.Errorf("query: %w", err)
		}
		for i, v := range row {
			record[i] = text(v)
		}
		if err := w.Write(record); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}

// queryTable prints a table, or one block a row when the columns do not fit.
func (a *app) queryTable(t *store.Table, limit int) error {
	var rows [][]string
	numeric := make([]bool, len(t.Columns))
	more := false
	for row, err := range t.Rows {
		if err != nil {
			return fmt.Errorf("query: %w", err)
		}
		if limit > 0 && len(rows) == limit {
			more = true
			break
		}
		cells := make([]string, len(row))
		for i, v := range row {
			switch v := v.(type) {
			case nil:
				cells[i] = "–"
			case float64:
				cells[i], numeric[i] = number(v), true
			case int64:
				cells[i], numeric[i] = strconv.FormatInt(v, 10), true
			default:
				cells[i] = visible(text(v))
			}
		}
		rows = append(rows, cells)
	}
	if len(t.Columns)*10 > a.width+10 {
		a.blocks(t.Columns, rows)
	} else {
		headers := make([]string, len(t.Columns))
		for i, c := range t.Columns {
			headers[i] = "~" + visible(c)
			if numeric[i] {
				headers[i] = ">" + visible(c)
			}
		}
		out := newTable(headers...)
		for _, r := range rows {
			out.add(r...)
		}
		a.print(out)
	}
	if more {
		a.printf("first %s; --limit 0 prints all\n", of(len(rows), "row"))
		return nil
	}
	a.printf("%s\n", of(len(rows), "row"))
	return nil
}

// blocks prints one fact a line, for rows that are too wide for a table.
func (a *app) blocks(names []string, rows [][]string) {
	w := 0
	for _, n := range names {
		w = max(w, columns(n))
	}
	for i, row := range rows {
		a.printf("%s\n", a.paint(grey, fmt.Sprintf("row %d", i+1)))
		pairs := make([]string, 0, 2*len(row))
		for k, cell := range row {
			pairs = append(pairs, visible(names[k]), clip(cell, max(20, a.width-w-2)))
		}
		a.facts(pairs...)
	}
}

// text is a value as text, exact.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.RawMessage:
		return string(v)
	case []byte:
		return `\x` + fmt.Sprintf("%x", v)
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return fmt.Sprint(v)
}
