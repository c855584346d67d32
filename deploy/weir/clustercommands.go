package main

import (
	"context"
	"errors"
)

const helpCluster = `
Its settings are those of the example file, deploy/config.example.yaml; a
setting a.b_c is the flag --a.b-c and the variable WEIR_A_B_C, and --config
FILE reads a file. /healthz and /readyz are on the main address (--listen),
/metrics and /debug/pprof on --admin.listen. SIGTERM drains and ends.
`

const helpIngest = `usage: weir ingest --database.url URL --kafka.brokers LIST [--SETTING VALUE]...

Runs the Ingestion API:

  POST /v1/event/report    events
  POST /v1/user/register   EUIDs of users
  POST /v1/user/property   properties of a client
  POST /v1/user/contact    contacts of a client

and, of Weir's own:

  POST /weir/v1/identities   several names for one client

A 2xx means that Kafka has acknowledged every event. Any number of ingest
processes may run.
` + helpCluster

const helpProcessor = `usage: weir processor --database.url URL --kafka.brokers LIST --cluster.secret TEXT
         --s3.endpoint URL --processor.listen HOST:PORT [--SETTING VALUE]...

Runs a processor: it owns a fair share of the shards, writes their records to
the lake exactly once, and serves events that are not in the lake yet to query
processes that know the cluster's secret. Up to one per shard may run; when one
ends, the others take over its shards. --processor.advertise is the host:port
under which other processes reach --processor.listen.
` + helpCluster

const helpQuery = `usage: weir query --database.url URL --cluster.secret TEXT --s3.endpoint URL [--SETTING VALUE]...

Runs the APIs that answer from the lake and from events not in it yet:

  User Events API   POST /api/v3/business/report/event/user
  Events API        POST /analytics/api/v1/events
                    POST /analytics/api/v1/traffic/event-counts
  Reporting API     /v3/…, with reports, lists and downloads

Any number of query processes may run. Download links lead through this address
unless --query.public-endpoint names the address of the object store.
` + helpCluster

// runIngest needs no object store: an ingest process writes to the log only.
func runIngest(ctx context.Context, p *process, args []string) error {
	return p.runService(ctx, args, roles{ingest: true}, "database.url", "kafka.brokers")
}

// runProcessor needs cluster.secret, since its tail must not be readable without.
func runProcessor(ctx context.Context, p *process, args []string) error {
	return p.runService(ctx, args, roles{processor: true}, "database.url", "kafka.brokers", "cluster.secret")
}

// runQuery needs no broker: events that are not in the lake come from the tails of
// the processors, which have removed duplicates already.
func runQuery(ctx context.Context, p *process, args []string) error {
	return p.runService(ctx, args, roles{query: true}, "database.url", "cluster.secret")
}

// runService runs one service of a cluster until ctx ends.
func (p *process) runService(ctx context.Context, args []string, r roles, needs ...string) (err error) {
	cfg, rest, err := p.load(args, nil)
	if err != nil {
		return err
	}
	if err := errors.Join(cfg.validate(), cfg.require(needs...), noArguments(rest)); err != nil {
		return usageError{err}
	}
	a := p.newApp(cfg, r)
	defer func() { err = ignoreCancel(ctx, errors.Join(err, a.close())) }()
	if err := a.connect(ctx); err != nil {
		return err
	}
	if err := a.build(ctx); err != nil {
		return err
	}
	a.log.InfoContext(ctx, "server listening", "url", a.url(), "admin", adminAddress(a.admin), "version", version())
	return a.services.run(ctx)
}
