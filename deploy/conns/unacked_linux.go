package conns

import (
	"net"
	"syscall"
	"unsafe"
)

// unacknowledged returns how many bytes have been written to c that the peer has not
// acknowledged.
func unacknowledged(c net.Conn) int64 {
	raw, ok := c.(syscall.Conn)
	if !ok {
		return 0
	}
	control, err := raw.SyscallConn()
	if err != nil {
		return 0
	}
	var queued int32
	_ = control.Control(func(fd uintptr) { // of a closed connection: nothing is queued
		_, _, _ = syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&queued))) //nolint:gosec // the call of tcp(7)
	})
	return int64(queued)
}
