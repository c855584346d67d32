package report

import (
	"slices"

	"weir/schemas/rollup"
)

// unitCache keeps the units of a dictionary of clients. A dictionary is shared
// by many batches and rows, so that each client is looked up once in
// clientIndex and not once for each row.
type unitCache struct {
	dictionary any     // identifies the dictionary; nil for one that no other batch shares
	units      []int32 // by code of the dictionary
	rows       []int32 // scratch: the result of unitsOf, by row
}

// Codes without a unit.
const (
	unresolved = -1 - iota // not looked up yet
	otherRange             // a client of another worker or pass, or one that the question is not about
	noUnit                 // a client of this range without a unit
)

// unitsOf returns the unit of each row of a batch, or a negative code. The
// slice is valid until the next call. With grow, new clients get a unit; else
// they are noUnit.
func (cs *clientStats) unitsOf(clients *rollup.DictionaryColumn[int64], grow bool) []int32 {
	c := &cs.unitCache
	if clients.DictionaryID == nil || clients.DictionaryID != c.dictionary {
		c.dictionary = clients.DictionaryID
		c.units = slices.Grow(c.units[:0], len(clients.Values))[:len(clients.Values)]
		for code := range c.units {
			c.units[code] = unresolved
		}
	}
	c.rows = slices.Grow(c.rows[:0], len(clients.Codes))[:len(clients.Codes)]
	for i, code := range clients.Codes {
		if c.units[code] == unresolved {
			c.units[code] = cs.resolve(clients.Values[code], grow)
		}
		c.rows[i] = c.units[code]
	}
	return c.rows
}

// resolve looks up one client.
func (cs *clientStats) resolve(client int64, grow bool) int32 {
	if !grow && !cs.onlyKnown && cs.clients.has(client) {
		return noUnit
	}
	if u, ok := cs.unitOf(client); ok {
		return u
	}
	return otherRange
}
