package ingest

// gates hold the requests of each key apart.
type gates struct{}
