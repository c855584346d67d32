// Package clientaddr says which address a request comes from, for every limit per
// address of every service: that of the connection or, where trusted proxies passed
// the request on, the address that the first of them saw. A client cannot choose its
// address: what it writes into X-Forwarded-For itself stands before what proxies add.
package clientaddr

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Proxies are the proxies whose X-Forwarded-For and X-Forwarded-Proto are believed.
// The zero value believes nobody.
type Proxies struct {
	networks []netip.Prefix
	anyPeer  bool // whoever connects is a proxy; what it forwards may still be another client's word
}

// New returns the proxies of a list of networks ("10.0.0.0/8") and addresses. With
// anyPeer whoever connects is one too, for processes that only a proxy can reach.
func New(list []string, anyPeer bool) (Proxies, error) {
	p := Proxies{anyPeer: anyPeer}
	for _, text := range list {
		network, err := parseNetwork(text)
		if err != nil {
			return Proxies{}, err
		}
		p.networks = append(p.networks, network)
	}
	return p, nil
}

func parseNetwork(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		addr = addr.Unmap().WithZone("")
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	network, err := netip.ParsePrefix(text)
	if err != nil {
		return network, fmt.Errorf("%q is neither an address nor a network like 10.0.0.0/8", text)
	}
	if addr := network.Addr(); addr.Is4In6() && network.Bits() >= 96 {
		network = netip.PrefixFrom(addr.Unmap(), network.Bits()-96)
	}
	return network.Masked(), nil
}

// Client returns the address of the client of r: going back from the connection, the
// first address that is not a trusted proxy's. It is invalid when the connection has
// no address, as on a unix socket; limits then count all such clients as one.
func (p Proxies) Client(r *http.Request) netip.Addr {
	addr := parseAddr(r.RemoteAddr)
	if !p.TrustsPeer(addr) {
		return addr
	}
	lines := r.Header["X-Forwarded-For"]
	for _, line := range slices.Backward(lines) {
		for rest, more := line, true; more; {
			var last string
			rest, last, more = cutLast(rest)
			next := parseAddr(last)
			if !next.IsValid() {
				return addr // no proxy writes such a thing, so nothing before it is known
			}
			if addr = next; !p.inNetworks(addr) {
				return addr
			}
		}
	}
	return addr
}

// cutLast returns the last item of a list and what stands before it; more is false
// if that is nothing.
func cutLast(list string) (before, last string, more bool) {
	i := strings.LastIndexByte(list, ',')
	if i < 0 {
		return "", list, false
	}
	return list[:i], list[i+1:], true
}

// Trusts reports whether r was passed on by a trusted proxy, so that its
// X-Forwarded-Proto may be believed.
func (p Proxies) Trusts(r *http.Request) bool { return p.TrustsPeer(parseAddr(r.RemoteAddr)) }

// TrustsPeer reports whether a connection from addr is one of a trusted proxy.
func (p Proxies) TrustsPeer(addr netip.Addr) bool {
	return p.anyPeer || p.inNetworks(addr)
}

func (p Proxies) inNetworks(addr netip.Addr) bool {
	for _, network := range p.networks {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

// parseAddr reads an address with or without brackets and port.
func parseAddr(text string) netip.Addr {
	text = strings.TrimSpace(text)
	if both, err := netip.ParseAddrPort(text); err == nil {
		return both.Addr().Unmap().WithZone("")
	}
	addr, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

// Of returns the address of a host:port, as RemoteAddr of a connection is written. It
// is invalid when there is none.
func Of(hostPort string) netip.Addr { return parseAddr(hostPort) }

// Group returns the address under which limits count addr. An IPv6 client usually
// has a whole /64 network, so all addresses of one count together.
func Group(addr netip.Addr) netip.Addr {
	if !addr.Is6() {
		return addr
	}
	network, err := addr.Prefix(64)
	if err != nil {
		return addr // unreachable: every IPv6 address has 64 bits
	}
	return network.Addr()
}
