package conns

import "time"

// pace says how long a peer may take. It has credit, a time that passes while the
// process waits for the peer, and that grows with every byte by what the byte may
// take at the minimum rate, up to the grace. Only one goroutine may use it.
type pace struct {
	rate   int64         // bytes per second
	grace  time.Duration // the most credit
	credit time.Duration
	armed  time.Time // the deadline that is set; zero: none
}

func newPace(rate int64, grace time.Duration) pace {
	return pace{rate: rate, grace: grace, credit: grace}
}

// deadline returns until when the peer must have sent or taken something, and whether
// the deadline that is set must be moved. It is moved seldom, and then so far that it
// need not be moved soon: a peer is cut off up to a quarter of the grace late, never
// early.
func (p *pace) deadline(now time.Time) (until time.Time, moved bool) {
	need := now.Add(p.credit)
	if !p.armed.IsZero() && !p.armed.Before(need) {
		return p.armed, false
	}
	p.armed = need.Add(p.grace / 4)
	return p.armed, true
}

// spend counts what a wait took and brought.
func (p *pace) spend(took time.Duration, n int) {
	p.credit = min(p.grace, p.credit-took+p.worth(int64(n)))
}

// worth is how long n bytes may take.
func (p *pace) worth(n int64) time.Duration {
	return time.Duration(float64(n) / float64(p.rate) * float64(time.Second))
}

// limit sets another grace.
func (p *pace) limit(grace time.Duration) {
	p.grace, p.credit, p.armed = grace, min(p.credit, grace), time.Time{}
}

// refill gives the whole grace again.
func (p *pace) refill() { p.credit, p.armed = p.grace, time.Time{} }
