package report

import (
	"slices"

	"weir/schemas/rollup"
)

// codedUnits remembers the units of a dictionary of clients, so that each is
// looked up once in many rows.
type codedUnits struct {
	of   any     // the dictionary; nil of one that no other batch shares
	unit []int32 // by code
	rows []int32 // scratch: by row
}

// What a code is without a unit.
const (
	unlooked = -1 - iota // it was not looked up yet
	foreign              // a client of another lane or pass, or one that is not asked about
	unborn               // a client of the part, of which nothing was counted yet
)

// unitsOf are the units of the rows of a batch, valid until the next. Clients
// that have none yet get one, or are unborn.
func (f *facts) unitsOf(clients *rollup.DictionaryColumn[int64], grow bool) []int32 {
	c := &f.coded
	if clients.DictionaryID == nil || clients.DictionaryID != c.of {
		c.of = clients.DictionaryID
		c.unit = slices.Grow(c.unit[:0], len(clients.Values))[:len(clients.Values)]
		for code := range c.unit {
			c.unit[code] = unlooked
		}
	}
	c.rows = slices.Grow(c.rows[:0], len(clients.Codes))[:len(clients.Codes)]
	for i, code := range clients.Codes {
		if c.unit[code] == unlooked {
			c.unit[code] = f.lookUp(clients.Values[code], grow)
		}
		c.rows[i] = c.unit[code]
	}
	return c.rows
}

func (f *facts) lookUp(client int64, grow bool) int32 {
	if !grow && !f.fixed && f.part.has(client) {
		return unborn
	}
	if u, ok := f.of(client); ok {
		return u
	}
	return foreign
}
