package embedded

import (
	"fmt"
	"net"
	"strconv"
)

// loopbackPort returns the port of a host:port. It refuses other hosts than
// loopback, because the broker has no authentication and the store no TLS.
func loopbackPort(addr string) (int, error) {
	if addr == "" {
		return 0, nil
	}
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return 0, fmt.Errorf("%q is not host:port: %w", addr, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.Equal(net.IPv4(127, 0, 0, 1))) {
		return 0, fmt.Errorf("%q is not on loopback: use 127.0.0.1", addr)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%q has no port number: %w", addr, err)
	}
	return int(port), nil
}
