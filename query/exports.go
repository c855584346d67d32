package query

import (
	"context"
	"net/http"
)

// exportState is what exports keep in a Service.
type exportState struct{}

func (s *Service) openExports() error { return nil }

// reportingRoutes mounts contract 4.
func (s *Service) reportingRoutes(*http.ServeMux) {}

// runExports closes days and builds export files until ctx ends.
func (s *Service) runExports(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// publishedOrigin is the Origin that the published contract asks for.
const publishedOrigin = "https://analytics.revenera.com"
