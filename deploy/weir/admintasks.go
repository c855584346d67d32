package main

// adminTasks are the things `weir admin` does to the lake rather than to the
// registry.
func adminTasks() []command {
	return []command{{"compact", "merge small data files", helpCompact, runCompact}}
}
