package lake

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"
)

// SQLCatalog returns an Iceberg catalog on the SQL tables that Iceberg's own
// SQL and JDBC catalogs use, under the catalog name `weir`, so that other
// engines find the tables there. dialect is "sqlite" or "postgres".
func SQLCatalog(db *sql.DB, dialect, bucket string, store ObjectStore) (Catalog, error) {
	p := sqlPointers{db: db, bucket: "s3://" + bucket + "/"}
	switch dialect {
	case "sqlite":
	case "postgres":
		p.numbered = true
	default:
		return nil, fmt.Errorf("sql catalog: dialect %q is neither sqlite nor postgres", dialect)
	}
	return NewCatalog(p, store), nil
}

// sqlPointers keeps the locations in the rows of iceberg_tables.
type sqlPointers struct {
	db       *sql.DB
	bucket   string // prefix of every location
	numbered bool   // placeholders are $1, $2, … instead of ?
}

// catalogTables creates the tables of Iceberg's JDBC catalog, version 1.
const catalogTables = `CREATE TABLE IF NOT EXISTS iceberg_tables (
	catalog_name VARCHAR(255) NOT NULL,
	table_namespace VARCHAR(255) NOT NULL,
	table_name VARCHAR(255) NOT NULL,
	metadata_location VARCHAR(1000),
	previous_metadata_location VARCHAR(1000),
	iceberg_type VARCHAR(5),
	PRIMARY KEY (catalog_name, table_namespace, table_name));
CREATE TABLE IF NOT EXISTS iceberg_namespace_properties (
	catalog_name VARCHAR(255) NOT NULL,
	namespace VARCHAR(255) NOT NULL,
	property_key VARCHAR(255) NOT NULL,
	property_value VARCHAR(1000),
	PRIMARY KEY (catalog_name, namespace, property_key))`

// Prepare creates the catalog's own tables and the namespace.
func (p sqlPointers) Prepare(ctx context.Context) error {
	for statement := range strings.SplitSeq(catalogTables, ";\n") {
		// PostgreSQL can refuse one of two processes that do this at once, in
		// spite of IF NOT EXISTS; the second try then finds the table.
		_, err := p.db.ExecContext(ctx, statement)
		if err != nil {
			_, err = p.db.ExecContext(ctx, statement)
		}
		if err != nil {
			return fmt.Errorf("create catalog tables: %w", err)
		}
	}
	_, err := p.exec(ctx, `INSERT INTO iceberg_namespace_properties (catalog_name, namespace, property_key, property_value)
		VALUES (?, ?, 'exists', 'true') ON CONFLICT DO NOTHING`, namespace, namespace)
	if err != nil {
		return fmt.Errorf("create namespace %s: %w", namespace, err)
	}
	return nil
}

// Location returns the metadata location of a table. A location outside the
// bucket is an error: the database belongs to another lake.
func (p sqlPointers) Location(ctx context.Context, name string) (string, error) {
	var location sql.NullString
	err := p.db.QueryRowContext(ctx, p.rebind(`SELECT metadata_location FROM iceberg_tables
		WHERE catalog_name = ? AND table_namespace = ? AND table_name = ?`), namespace, namespace, name).Scan(&location)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(location.String, p.bucket) {
		return "", fmt.Errorf("metadata of table %s is at %s, which is not in %s", name, location.String, p.bucket)
	}
	return location.String, nil
}

// Insert adds a table.
func (p sqlPointers) Insert(ctx context.Context, name, location string) error {
	n, err := p.exec(ctx, `INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name, metadata_location, iceberg_type)
		VALUES (?, ?, ?, ?, 'TABLE') ON CONFLICT DO NOTHING`, namespace, namespace, name, location)
	if err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("%w: %s", catalog.ErrTableAlreadyExists, name)
	}
	return nil
}

// Swap moves a table from one location to the next. One UPDATE compares and
// sets, so of two processes that swap at once one succeeds and the other
// changes no row.
func (p sqlPointers) Swap(ctx context.Context, name, from, to string) error {
	n, err := p.exec(ctx, `UPDATE iceberg_tables SET metadata_location = ?, previous_metadata_location = ?
		WHERE catalog_name = ? AND table_namespace = ? AND table_name = ? AND metadata_location = ?`,
		to, from, namespace, namespace, name, from)
	if err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("%w: table %s is no longer at %s", table.ErrCommitFailed, name, from)
	}
	return nil
}

// exec runs a statement and returns how many rows it changed.
func (p sqlPointers) exec(ctx context.Context, statement string, args ...any) (int64, error) {
	res, err := p.db.ExecContext(ctx, p.rebind(statement), args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// rebind writes placeholders in the dialect of the database.
func (p sqlPointers) rebind(statement string) string {
	if !p.numbered {
		return statement
	}
	parts := strings.Split(statement, "?")
	var b strings.Builder
	for i, part := range parts {
		if i > 0 {
			fmt.Fprintf(&b, "$%d", i)
		}
		b.WriteString(part)
	}
	return b.String()
}
