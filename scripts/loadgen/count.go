package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"time"
)

// Counts adds events up, one line of NDJSON after the other, in the simplest
// possible way. A random id that a client has sent before does not count.
type Counts struct {
	seen    map[string]struct{} // client and random id
	ids     map[string]struct{}
	names   map[string]*eventCount
	pairs   map[[2]string]*eventCount // name, category; "\x00" is none
	years   map[int]*eventCount
	clients map[int64]*clientCount
	days    map[string]struct{} // client and day

	events, sessions, runtimeMS int64
	minTime, maxTime            int64
	value                       *big.Rat
}

type eventCount struct {
	n       int64
	clients map[int64]struct{}
	value   *big.Rat
}

type clientCount struct{ n, first, last int64 }

// Expectation holds the figures of the events of one product.
type Expectation struct {
	Totals    Totals     `json:"totals"`
	ByName    []NameRow  `json:"by_name"`
	ByEvent   []EventRow `json:"by_event"`
	ByYear    []YearRow  `json:"by_year"`
	NewByYear []NewRow   `json:"new_by_year"`
	OneClient ClientRow  `json:"one_client"`
}

// Totals are over all events of a product.
type Totals struct {
	Events     int64       `json:"events"`
	Clients    int         `json:"clients"`
	IDs        int         `json:"ids"`
	MinTime    int64       `json:"min_itime"`
	MaxTime    int64       `json:"max_itime"`
	Sessions   int64       `json:"sessions"`
	RuntimeS   json.Number `json:"runtime_s"`
	ValueSum   json.Number `json:"value_sum"`
	ClientDays int         `json:"client_days"`
}

// NameRow counts the events of one name.
type NameRow struct {
	Name    string `json:"event_name"`
	N       int64  `json:"n"`
	Clients int    `json:"clients"`
}

// EventRow counts the events of one name and category.
type EventRow struct {
	Name     string      `json:"event_name"`
	Category *string     `json:"category"`
	N        int64       `json:"n"`
	Clients  int         `json:"clients"`
	ValueSum json.Number `json:"value_sum"`
}

// YearRow counts the events and active clients of one year, UTC.
type YearRow struct {
	Year   int   `json:"y"`
	Events int64 `json:"events"`
	Active int   `json:"active"`
}

// NewRow counts the clients whose first event is in a year, UTC.
type NewRow struct {
	Year int `json:"y"`
	New  int `json:"new_clients"`
}

// ClientRow is the busiest client.
type ClientRow struct {
	EUID  string `json:"euid"`
	N     int64  `json:"n"`
	First int64  `json:"first_itime"`
	Last  int64  `json:"last_itime"`
}

// NewCounts returns empty counts.
func NewCounts() *Counts {
	return &Counts{
		seen: map[string]struct{}{}, ids: map[string]struct{}{}, names: map[string]*eventCount{}, pairs: map[[2]string]*eventCount{},
		years: map[int]*eventCount{}, clients: map[int64]*clientCount{}, days: map[string]struct{}{}, value: new(big.Rat),
	}
}

// line is the part of an item that is counted.
type line struct {
	EUID       int64  `json:"euid"`
	Name       string `json:"event_name"`
	Time       int64  `json:"itime"`
	RandomID   string `json:"random_id"`
	Properties struct {
		Category *string     `json:"$category"`
		Value    json.Number `json:"$value"`
		Runtime  json.Number `json:"$runtime"`
	} `json:"properties"`
}

// Add counts one line.
func (c *Counts) Add(text []byte) error {
	var e line
	if err := json.Unmarshal(text, &e); err != nil {
		return fmt.Errorf("count %.200q: %w", text, err)
	}
	key := fmt.Sprint(e.EUID, " ", e.RandomID)
	if _, again := c.seen[key]; again {
		return nil
	}
	c.seen[key] = struct{}{}
	c.ids[e.RandomID] = struct{}{}

	value, err := rational(e.Properties.Value)
	if err != nil {
		return err
	}
	category := "\x00"
	if e.Properties.Category != nil {
		category = *e.Properties.Category
	}
	at := time.UnixMilli(e.Time).UTC()
	count(c.names, e.Name, e.EUID, value)
	count(c.pairs, [2]string{e.Name, category}, e.EUID, value)
	count(c.years, at.Year(), e.EUID, value)
	c.days[fmt.Sprint(e.EUID, " ", at.Format(time.DateOnly))] = struct{}{}
	c.value.Add(c.value, value)
	return c.addClient(e)
}

func (c *Counts) addClient(e line) error {
	if c.events == 0 {
		c.minTime, c.maxTime = e.Time, e.Time
	}
	c.events++
	c.minTime, c.maxTime = min(c.minTime, e.Time), max(c.maxTime, e.Time)
	one := c.clients[e.EUID]
	if one == nil {
		one = &clientCount{first: e.Time, last: e.Time}
		c.clients[e.EUID] = one
	}
	one.n++
	one.first, one.last = min(one.first, e.Time), max(one.last, e.Time)
	if e.Name == "session_start" {
		c.sessions++
	}
	if e.Name != "session_stop" {
		return nil
	}
	seconds, err := rational(e.Properties.Runtime)
	if err != nil {
		return err
	}
	ms := seconds.Mul(seconds, big.NewRat(1000, 1))
	if !ms.IsInt() {
		return fmt.Errorf("count %s: runtime %s s is no whole number of milliseconds", e.RandomID, e.Properties.Runtime)
	}
	c.runtimeMS += ms.Num().Int64()
	return nil
}

// rational parses a number exactly; "" counts as 0.
func rational(n json.Number) (*big.Rat, error) {
	if n == "" {
		return new(big.Rat), nil
	}
	r, ok := new(big.Rat).SetString(n.String())
	if !ok {
		return nil, fmt.Errorf("count: %q is not a number", n)
	}
	return r, nil
}

// count adds one event to the figures of a key.
func count[K comparable](counts map[K]*eventCount, key K, client int64, value *big.Rat) {
	t := counts[key]
	if t == nil {
		t = &eventCount{clients: map[int64]struct{}{}, value: new(big.Rat)}
		counts[key] = t
	}
	t.n++
	t.clients[client] = struct{}{}
	t.value.Add(t.value, value)
}

// Expectation returns the figures so far.
func (c *Counts) Expectation() Expectation {
	e := Expectation{Totals: Totals{
		Events: c.events, Clients: len(c.clients), IDs: len(c.ids), MinTime: c.minTime, MaxTime: c.maxTime, Sessions: c.sessions,
		RuntimeS: decimal(big.NewRat(c.runtimeMS, 1000)), ValueSum: decimal(c.value), ClientDays: len(c.days),
	}}
	for name, t := range c.names {
		e.ByName = append(e.ByName, NameRow{name, t.n, len(t.clients)})
	}
	for pair, t := range c.pairs {
		row := EventRow{Name: pair[0], N: t.n, Clients: len(t.clients), ValueSum: decimal(t.value)}
		if pair[1] != "\x00" {
			row.Category = &pair[1]
		}
		e.ByEvent = append(e.ByEvent, row)
	}
	for year, t := range c.years {
		e.ByYear = append(e.ByYear, YearRow{year, t.n, len(t.clients)})
	}
	e.NewByYear = c.newByYear()
	e.OneClient = c.busiest()
	slices.SortFunc(e.ByName, func(a, b NameRow) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(e.ByEvent, func(a, b EventRow) int {
		return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Name, b.Name), cmp.Compare(text(a.Category), text(b.Category)))
	})
	slices.SortFunc(e.ByYear, func(a, b YearRow) int { return cmp.Compare(a.Year, b.Year) })
	return e
}

func (c *Counts) newByYear() []NewRow {
	years := map[int]int{}
	for _, one := range c.clients {
		years[time.UnixMilli(one.first).UTC().Year()]++
	}
	var rows []NewRow
	for year, n := range years {
		rows = append(rows, NewRow{year, n})
	}
	slices.SortFunc(rows, func(a, b NewRow) int { return cmp.Compare(a.Year, b.Year) })
	return rows
}

func (c *Counts) busiest() ClientRow {
	var best ClientRow
	var bestID int64
	for id, one := range c.clients {
		if one.n > best.N || one.n == best.N && id < bestID {
			best, bestID = ClientRow{strconv.FormatInt(id, 10), one.n, one.first, one.last}, id
		}
	}
	return best
}

// decimal formats r with as many digits as it needs, up to nine.
func decimal(r *big.Rat) json.Number {
	digits := 0
	for ; digits < 9; digits++ {
		scaled := new(big.Rat).Mul(r, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil)))
		if scaled.IsInt() {
			break
		}
	}
	return json.Number(r.FloatString(digits))
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
