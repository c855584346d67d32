package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"weir/schemas/registry"
)

// callsTimedOut counts the calls to the database that had no answer in time.
func callsTimedOut(r *registry.Registry) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "weir_database_timeouts_total", Help: "Calls to the database that were given up after database.call_timeout.",
	}, func() float64 { return float64(registry.CallsTimedOut(r)) })
}

// storeStalls counts the requests to the object store whose body stood still.
func storeStalls(s storage) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "weir_store_stalls_total", Help: "Requests to the object store that were ended after s3.stall_timeout because a body stood still.",
	}, func() float64 { return float64(s.client.Stalls()) })
}
