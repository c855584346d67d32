-- What the owners of a product decide for its reports.

-- License keys. Flags are 0 or 1; days are YYYY-MM-DD, '' is none.
CREATE TABLE license_keys (
	product_id    BIGINT NOT NULL REFERENCES products (id),
	license_key   TEXT NOT NULL,
	license_type  TEXT NOT NULL,
	activated     BIGINT NOT NULL,
	blocked       BIGINT NOT NULL,
	expired       BIGINT NOT NULL,
	allowed       BIGINT NOT NULL,
	expiry_day    TEXT NOT NULL,
	install_quota BIGINT NOT NULL,
	collected     BIGINT NOT NULL, -- 1: a client reported it before anybody uploaded it
	added         BIGINT NOT NULL,
	PRIMARY KEY (product_id, license_key)
);

-- Events that are not collected as basic and as advanced, which all others
-- are. No category is has_category = 0, which is not the empty one.
CREATE TABLE event_flags (
	product_id   BIGINT NOT NULL REFERENCES products (id),
	has_category BIGINT NOT NULL,
	category     TEXT NOT NULL,
	name         TEXT NOT NULL,
	basic        BIGINT NOT NULL,
	advanced     BIGINT NOT NULL,
	PRIMARY KEY (product_id, has_category, category, name)
);

-- What a vendor calls the custom properties of a product.
CREATE TABLE property_labels (
	product_id BIGINT NOT NULL REFERENCES products (id),
	property   TEXT NOT NULL, -- C01 to C20
	label      TEXT NOT NULL,
	PRIMARY KEY (product_id, property)
);
