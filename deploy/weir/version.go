package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
)

// runVersion prints the version, the Go release and the platform.
func runVersion(_ context.Context, p *process, args []string) error {
	if len(args) > 0 {
		return usagef("version takes no arguments")
	}
	_, err := fmt.Fprintf(p.stdout, "weir %s %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// version returns the commit that the toolchain stamped into the binary, in 12
// digits, or the version of the module when there is none.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	commit := buildSetting(info, "vcs.revision")
	if commit == "" {
		return info.Main.Version
	}
	short := commit[:min(12, len(commit))]
	if buildSetting(info, "vcs.modified") == "true" {
		return short + "+changes"
	}
	return short
}

// revision returns the whole commit id, or "unknown" for a binary that was not
// built in a checkout.
func revision() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		if commit := buildSetting(info, "vcs.revision"); commit != "" {
			return commit
		}
	}
	return "unknown"
}

func buildSetting(info *debug.BuildInfo, key string) string {
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

// buildInfo is a gauge that is always 1. Its labels let a dashboard show which
// process runs which binary, also in the middle of a rolling upgrade.
func buildInfo() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "weir_build_info",
		Help: "Always 1; the labels are the version that weir version prints, the commit, and the Go release of the binary.",
		ConstLabels: prometheus.Labels{
			"version": version(), "revision": revision(), "goversion": runtime.Version(),
		},
	}, func() float64 { return 1 })
}
