package lake

import (
	"context"
	"fmt"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"
)

// division is how the rows that are written to a table are divided into data files, and
// the spec by which the table knows it.
type division struct {
	partitioning

	spec iceberg.PartitionSpec // with the ids that the table gave it
	runs bool                  // by arrival or not at all, and not by a time that clients say
}

// divisionOf returns the division of what is written to a table of these specs: runs, if
// it has ever had their spec, else that of the versions before. A table whose
// specs are all foreign is written as before.
func (st *tableState) divisionOf(meta table.Metadata) division {
	runs, before := st.partition.spec(st.columns), st.before.spec(st.columns)
	out := division{partitioning: st.before, spec: before}
	for _, spec := range meta.PartitionSpecs() {
		switch {
		case spec.CompatibleWith(&runs):
			return division{partitioning: st.partition, spec: spec, runs: true}
		case spec.CompatibleWith(&before):
			out.spec = spec
		}
	}
	return out
}

// division returns the division that new data files have, as of the newest snapshot
// that this process has loaded.
func (st *tableState) division() division {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.latest.division
}

// partitionData returns the partition of a data file as Iceberg wants it.
func (s *division) partitionData(partition int32) map[int]any {
	for _, f := range s.spec.Fields() {
		return map[int]any{f.FieldID: partition}
	}
	return nil
}

// EvolveLayout makes runs of what is written from now on: one data file for each
// table and cut. Data files do not change; compaction makes runs of them.
// Before, every process that compacts must know runs: an older one would state a
// wrong partition of theirs, by which other engines leave out rows.
func EvolveLayout(ctx context.Context, l *Lake) error {
	for _, t := range Tables() {
		if err := evolve(ctx, l, t); err != nil {
			return fmt.Errorf("evolve the partition spec of %s: %w", t, err)
		}
	}
	return nil
}

// evolve gives t the spec of runs, if it has never had it.
func evolve(ctx context.Context, l *Lake, t Table) error {
	st := l.tables[t]
	st.commitMu.Lock()
	defer st.commitMu.Unlock()
	return l.retryCommit(ctx, func() (string, error) {
		base, err := l.Load(ctx, t)
		if err != nil || base.division.runs {
			return "", err
		}
		err = setSpec(ctx, base.tbl, st.partition)
		if err == nil {
			_, err = l.Load(ctx, t) // what is written next must see it
		}
		return base.metadataLocation, err
	})
}

// setSpec replaces the partition spec of tbl.
func setSpec(ctx context.Context, tbl *table.Table, p partitioning) error {
	tx := tbl.NewTransaction()
	update, spec := tx.UpdateSpec(true), tbl.Spec()
	for _, f := range spec.Fields() {
		update.RemoveField(f.Name)
	}
	if p.column != "" {
		update.AddField(p.column, p.transform, p.field)
	}
	if err := update.Commit(); err != nil {
		return err
	}
	_, err := tx.Commit(ctx)
	return err
}
