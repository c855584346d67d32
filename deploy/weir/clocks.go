package main

import (
	"context"
	"net"
	"net/url"
	"time"

	"weir/processor"
	"weir/schemas/registry"
)

const helpAcceptClock = `usage: weir admin accept-clock [--data DIR] [--database.url URL] [--SETTING VALUE]...

Says that the clocks of the processors that have stopped for their clock are
right. A processor stops when its clock jumps ahead by more than
processor.max_clock_jump while it runs, or at a start when no other machine has
such a time: log time follows the clock and never goes back, so the random ids and
days in between would be closed for good. Set a wrong clock right instead; the
processor then goes on by itself. It cannot be undone. /readyz names the
processors that have stopped.
`

// runAcceptClock accepts the clocks of all stopped processors.
func runAcceptClock(ctx context.Context, p *process, args []string) error {
	cfg, err := p.loadFlags(args, nil)
	if err != nil {
		return err
	}
	cfg.Log.Level = "warn"
	reg, err := openRegistry(ctx, cfg, p.logger(cfg.Log))
	if err != nil {
		return err
	}
	defer func() { _ = reg.Close() }() // the decision is recorded, or another error is returned
	accepted, err := registry.NewClockStops(reg).Accept(ctx)
	for _, s := range accepted {
		p.print("accepted the clock of processor %s, which was %s ahead when it stopped; it goes on within seconds\n", s.Processor, s.Ahead.Round(time.Second))
	}
	if err == nil && len(accepted) == 0 {
		p.print("no processor has stopped for its clock\n")
	}
	return err
}

// otherClocks returns the times of the database and the object store, where they are
// on other machines: on this one they have the same clock, and would prove nothing.
func (a *app) otherClocks(ctx context.Context) []processor.OtherNow {
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	var others []processor.OtherNow
	add := func(name, address string, ask func(context.Context) (time.Time, error)) {
		host := hostOf(address)
		if !elsewhere(ctx, host) {
			return
		}
		now, err := ask(ctx)
		if err != nil {
			a.log.WarnContext(ctx, "clock of another machine not known", "of", name, "host", host, "err", err)
			return
		}
		others = append(others, processor.OtherNow{Name: name, Now: now})
	}
	if a.registry.Dialect() == "postgres" {
		add("database", a.cfg.Database.URL, func(ctx context.Context) (time.Time, error) { return registry.Now(ctx, a.registry) })
	}
	endpoint := a.cfg.S3.Endpoint
	if endpoint == "" {
		endpoint = "https://s3.amazonaws.com"
	}
	add("object store", endpoint, a.exports.ServerTime)
	return others
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// elsewhere reports whether host is another machine: none of its addresses is one of
// ours. What cannot be told is taken for this machine.
func elsewhere(ctx context.Context, host string) bool {
	if host == "" {
		return false
	}
	addresses, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return false
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, text := range addresses {
		ip := net.ParseIP(text)
		if ip == nil || ip.IsLoopback() || ip.IsUnspecified() {
			return false
		}
		for _, o := range own {
			if n, ok := o.(*net.IPNet); ok && n.IP.Equal(ip) {
				return false
			}
		}
	}
	return len(addresses) > 0
}

// clocks are what the processor judges its clock by.
func (a *app) clocks() processor.Clocks {
	return processor.Clocks{Boot: bootClock(), Others: a.otherClocks, Stops: registry.NewClockStops(a.registry)}
}
