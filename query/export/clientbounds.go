package export

import (
	"cmp"
	"slices"

	"weir/schemas/property"
	"weir/schemas/rollup"
)

// A client that reported more properties outside the catalogue than rollups keep has in
// raw files those that they keep, and of a row's own $client all. Which rows of a rollup
// were merged already must make no difference, so that the bound is applied here to all
// that is known of the client.

// bounded returns a shape without the names that rollups do not keep of a client whose
// names are the shape.
func (o *clientObjects) bounded(shape int32) int32 {
	if len(o.shapes[shape]) <= rollup.MaxOtherProperties {
		return shape
	}
	if id, known := o.boundedShapes[shape]; known {
		return id
	}
	var kept, others []int32
	for _, name := range o.shapes[shape] {
		if property.Find(o.names[name]) != nil {
			kept = append(kept, name)
		} else {
			others = append(others, name)
		}
	}
	id := shape
	if len(others) > rollup.MaxOtherProperties {
		slices.SortFunc(others, func(a, b int32) int { return cmp.Compare(o.names[a], o.names[b]) })
		kept = append(kept, others[:rollup.MaxOtherProperties]...)
		slices.Sort(kept)
		id = o.shapeID(kept)
	}
	o.boundedShapes[shape] = id
	o.bytes += 48
	return id
}

// restrict returns the object of those values of an object whose names are in a shape.
func (o *clientObjects) restrict(object, shape int32) int32 {
	if o.without(o.objects[object].shape, shape) == 0 {
		return object
	}
	key := [2]int32{object, shape}
	if id, known := o.restricted[key]; known {
		return id
	}
	var pairs []namedValue
	for _, p := range o.objects[object].pairs {
		if _, in := slices.BinarySearch(o.shapes[shape], p.name); in {
			pairs = append(pairs, p)
		}
	}
	id := o.objectID(pairs)
	o.restricted[key] = id
	o.bytes += 48
	return id
}
