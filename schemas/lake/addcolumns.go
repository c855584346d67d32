package lake

import (
	"context"
	"fmt"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"
)

// addColumns gives t the columns of schema that it lacks: those that were appended
// since the table was made. A table of a later version has more, and keeps them.
//
// Data files do not change: what was written before a column came has null in it. A
// process of the version before goes on beside it. It loads the new schema as any
// other, writes files without the column, and a merge of it drops the values, which is
// why only columns may be added that a row can do without.
func addColumns(ctx context.Context, l *Lake, t Table, schema *iceberg.Schema) error {
	err := l.retryCommit(ctx, func() (string, error) {
		tbl, err := l.cat.LoadTable(ctx, ident(t))
		if err != nil {
			return "", err
		}
		have := tbl.Schema()
		missing, err := missingFields(have, schema)
		if err != nil || len(missing) == 0 {
			return tbl.MetadataLocation(), err
		}
		next := iceberg.NewSchema(highestSchemaID(tbl.Metadata())+1, append(have.Fields(), missing...)...)
		props, err := tableProperties(next)
		if err != nil {
			return tbl.MetadataLocation(), err
		}
		// Readers of files without field ids go by the name mapping, so it changes in
		// the same commit. Another process that adds the same columns at the same time
		// makes the assertion fail, and the next attempt finds nothing missing.
		_, _, err = l.cat.CommitTable(ctx, ident(t),
			[]table.Requirement{table.AssertCurrentSchemaID(have.ID), table.AssertLastAssignedFieldID(tbl.Metadata().LastColumnID())},
			[]table.Update{
				table.NewAddSchemaUpdate(next), table.NewSetCurrentSchemaUpdate(next.ID),
				table.NewSetPropertiesUpdate(iceberg.Properties{table.DefaultNameMappingKey: props[table.DefaultNameMappingKey]}),
			})
		return tbl.MetadataLocation(), err
	})
	if err != nil {
		return fmt.Errorf("add columns to table %s: %w", t, err)
	}
	return nil
}

// keepMetadata makes t list its old metadata files as long as a snapshot that they
// show. Tables of the versions before listed twenty, which was gone in seconds.
func keepMetadata(ctx context.Context, l *Lake, t Table) error {
	err := l.retryCommit(ctx, func() (string, error) {
		tbl, err := l.cat.LoadTable(ctx, ident(t))
		if err != nil {
			return "", err
		}
		if tbl.Properties()[table.MetadataPreviousVersionsMaxKey] != "20" {
			return tbl.MetadataLocation(), nil
		}
		props := iceberg.Properties{table.MetadataPreviousVersionsMaxKey: maxMetadataFiles}
		_, _, err = l.cat.CommitTable(ctx, ident(t), nil, []table.Update{table.NewSetPropertiesUpdate(props)})
		return tbl.MetadataLocation(), err
	})
	if err != nil {
		return fmt.Errorf("keep metadata of table %s: %w", t, err)
	}
	return nil
}

// missingFields returns the fields of want that have lacks. A field id is a position
// in our schema, so a column that another engine has added under one of them is an
// error: data files would mean two things.
func missingFields(have, want *iceberg.Schema) (missing []iceberg.NestedField, err error) {
	for _, field := range want.Fields() {
		there, ok := have.FindFieldByID(field.ID)
		switch {
		case !ok:
			missing = append(missing, field)
		case there.Name != field.Name:
			return nil, fmt.Errorf("field %d is column %s, want %s", field.ID, there.Name, field.Name)
		}
	}
	return missing, nil
}

func highestSchemaID(meta table.Metadata) int {
	highest := 0
	for _, schema := range meta.Schemas() {
		highest = max(highest, schema.ID)
	}
	return highest
}
