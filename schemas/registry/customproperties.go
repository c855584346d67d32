package registry

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"weir/schemas/property"
)

// LabelProperty sets the display name of a custom property of a product; "" removes
// it.
func (r *Registry) LabelProperty(ctx context.Context, product int64, name, label string) error {
	if !property.IsCustom(name) {
		return fmt.Errorf("label property %q: %w: only C01 to C20 have labels", name, ErrInvalid)
	}
	if err := validText("label", label); err != nil {
		return fmt.Errorf("label property %s: %w", name, err)
	}
	if strings.TrimSpace(label) == "" {
		_, err := r.db.ExecContext(ctx, `DELETE FROM property_labels WHERE product_id = $1 AND property = $2`, product, name)
		if err != nil {
			return fmt.Errorf("remove the label of property %s of product %d: %w", name, product, err)
		}
		return nil
	}
	err := execRequired(ctx, r.db, ErrNotFound, `INSERT INTO property_labels (product_id, property, label)
		SELECT id, CAST($2 AS TEXT), CAST($3 AS TEXT) FROM products WHERE id = $1 AND revoked = 0
		ON CONFLICT (product_id, property) DO UPDATE SET label = excluded.label`, product, name, label)
	if err != nil {
		return fmt.Errorf("label property %s of product %d: %w", name, product, err)
	}
	return nil
}

// PropertyLabels returns the display names of the custom properties of a product that
// have one.
func (r *Registry) PropertyLabels(ctx context.Context, product int64) (map[string]string, error) {
	labels := map[string]string{}
	_, err := queryAll(ctx, r.db, func(row *sql.Rows) (struct{}, error) {
		var name, label string
		err := row.Scan(&name, &label)
		labels[name] = label
		return struct{}{}, err
	}, `SELECT property, label FROM property_labels WHERE product_id = $1`, product)
	if err != nil {
		return nil, fmt.Errorf("read property labels of product %d: %w", product, err)
	}
	return labels, nil
}

// SetPropertyType sets the type of a custom property of a product: 1, 2 or 3.
func (r *Registry) SetPropertyType(ctx context.Context, product int64, name string, kind int) error {
	if !property.IsCustom(name) {
		return fmt.Errorf("set the type of property %q: %w: only C01 to C20 have types", name, ErrInvalid)
	}
	if kind < property.TypeDefault || kind > property.TypeGrouping {
		return fmt.Errorf("set the type of property %s: %w: %d is not a type: 1, 2 or 3", name, ErrInvalid, kind)
	}
	err := execRequired(ctx, r.db, ErrNotFound, `INSERT INTO property_types (product_id, property, type)
		SELECT id, CAST($2 AS TEXT), CAST($3 AS BIGINT) FROM products WHERE id = $1 AND revoked = 0
		ON CONFLICT (product_id, property) DO UPDATE SET type = excluded.type`, product, name, kind)
	if err != nil {
		return fmt.Errorf("set the type of property %s of product %d: %w", name, product, err)
	}
	return nil
}

// PropertyTypes returns the types of all custom properties of a product; those
// without a stored type have property.TypeDefault.
func (r *Registry) PropertyTypes(ctx context.Context, product int64) (map[string]int, error) {
	types := map[string]int{}
	for _, name := range property.CustomNames() {
		types[name] = property.TypeDefault
	}
	_, err := queryAll(ctx, r.db, func(row *sql.Rows) (struct{}, error) {
		var name string
		var kind int
		err := row.Scan(&name, &kind)
		types[name] = kind
		return struct{}{}, err
	}, `SELECT property, type FROM property_types WHERE product_id = $1`, product)
	if err != nil {
		return nil, fmt.Errorf("read property types of product %d: %w", product, err)
	}
	return types, nil
}
