-- The types of the custom properties of a product: 1, 2 or 3. A property
-- without a row is of type 1.
CREATE TABLE property_types (
	product_id BIGINT NOT NULL REFERENCES products (id),
	property   TEXT NOT NULL, -- C01 to C20
	type       BIGINT NOT NULL,
	PRIMARY KEY (product_id, property)
);
