//go:build e2e

package e2e

import (
	"os"
	"testing"
)

// TestRegistryOnPostgres runs the registry's own suite against PostgreSQL.
func TestRegistryOnPostgres(t *testing.T) {
	pg := server(t, "postgres", folder(t, "registry-"))
	out, err := run(append(os.Environ(), "CGO_ENABLED=0"), "go", "test", "-count=1", "../../schemas/registry", "-postgres", pg["URL"])
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
