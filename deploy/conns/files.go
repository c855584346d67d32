package conns

import "syscall"

// Bounds of what openFiles returns: some systems report no limit, and with fewer the
// shares would be none.
const (
	minFiles = 64
	maxFiles = 1 << 20
)

// openFiles returns how many files and connections the process may have open. The Go
// runtime has raised the soft limit to the hard one.
func openFiles() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 1024 // the least that is usual
	}
	return int(min(max(limit.Cur, minFiles), maxFiles))
}
