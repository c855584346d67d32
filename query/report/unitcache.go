package report

import (
	"slices"

	"weir/schemas/rollup"
)

// unitCache remembers the units of a dictionary of clients, so that each is
// looked up once in many rows.
type unitCache struct {
	dictionary any     // the dictionary; nil of one that no other batch shares
	units      []int32 // by code
	rows       []int32 // scratch: by row
}

// What a code is without a unit.
const (
	unresolved = -1 - iota // it was not looked up yet
	otherRange             // a client of another lane or pass, or one that is not asked about
	noUnit                 // a client of the part, of which nothing was counted yet
)

// unitsOf are the units of the rows of a batch, valid until the next. Clients
// that have none yet get one, or are unborn.
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

func (cs *clientStats) resolve(client int64, grow bool) int32 {
	if !grow && !cs.closed && cs.clients.has(client) {
		return noUnit
	}
	if u, ok := cs.unitOf(client); ok {
		return u
	}
	return otherRange
}
