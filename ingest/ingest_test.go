package ingest

import (
	"testing"

	"weir/schemas/registry"
)

func TestNewNeedsItsParts(t *testing.T) {
	for name, deps := range map[string]Deps{
		"nothing":   {},
		"no layout": {Registry: newFakeRegistry(t), Kafka: newTestEdge(t, Config{}).deps.Kafka, Log: newTestEdge(t, Config{}).deps.Log},
	} {
		if _, err := New(Config{}, deps); err == nil {
			t.Errorf("%s: New took it", name)
		}
	}
}

var _ Registry = (*registry.Registry)(nil)
