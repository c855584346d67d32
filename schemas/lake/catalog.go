package lake

import (
	"context"
	"database/sql"
	"errors"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"
)

// Catalog is the part of an Iceberg catalog that the lake needs. Every
// catalog.Catalog is one.
type Catalog interface {
	CreateNamespace(ctx context.Context, namespace table.Identifier, props iceberg.Properties) error
	CreateTable(ctx context.Context, ident table.Identifier, schema *iceberg.Schema, opts ...catalog.CreateTableOpt) (*table.Table, error)
	LoadTable(ctx context.Context, ident table.Identifier) (*table.Table, error)
	CommitTable(ctx context.Context, ident table.Identifier, reqs []table.Requirement, updates []table.Update) (table.Metadata, string, error)
}

// SQLCatalog is the Iceberg catalog in the tables of Iceberg's own SQL
// catalogs, so that other engines read it too. dialect is "sqlite" or
// "postgres".
func SQLCatalog(db *sql.DB, dialect, bucket string, store ObjectStore) (Catalog, error) {
	return nil, errors.New("sql catalog: not built yet")
}
