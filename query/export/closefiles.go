package export

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"weir/query/view"
	"weir/schemas/columns"
)

const (
	heldRowBytes    = 1 << 10 // assumed of a row, to divide products into passes; what rows take is counted
	maxPassProducts = 1 << 10 // products of a pass, which are named in its filters
	valuesBytes     = 1 << 10 // of clientValues without clients
	maxFailures     = 16      // files of one period that fail in a row: then what they need is away
)

// dayFiles builds the files of a day that has closed.
//
// The rows of a day lie in several data files, each sorted by product, and the files
// of products need tables beside them, so that a merge of all would hold a cursor of
// each data file of each table and yet find the properties of clients product by
// product. Instead products are divided into passes by the number of their rows, which
// were counted: of a pass all rows are held in memory, and each table is scanned once
// for all of its products. A day whose rows fit Config.ClientBytes is one pass. A
// product with more rows than fit one is read file by file, as a stream.
type dayFiles struct {
	*Files

	view   *view.View
	day    Period
	want   map[fileKey]int64 // files to build, and their rows
	failed failures
}

// dayProduct is a product with files to build.
type dayProduct struct {
	id    int64
	rows  int64 // of the day, of all kinds
	kinds []Kind
}

// build builds and records all files of want. What one file fails with stops no other.
// all has the rows of each product.
func (d *dayFiles) build(ctx context.Context, all map[int64]int64) error {
	rest := d.products(all)
	for len(rest) > 0 && !d.failed.stop(ctx) {
		n := passOf(rest, d.cfg.ClientBytes/heldRowBytes)
		d.pass(ctx, rest[:n])
		rest = rest[n:]
	}
	return d.failed.err(ctx)
}

// products returns the products of want, ascending.
func (d *dayFiles) products(all map[int64]int64) []dayProduct {
	byID := map[int64]*dayProduct{}
	for _, k := range Kinds() {
		for _, id := range productsOf(d.want, k.Code) {
			if byID[id] == nil {
				byID[id] = &dayProduct{id: id, rows: all[id]}
			}
			byID[id].kinds = append(byID[id].kinds, k)
		}
	}
	out := make([]dayProduct, 0, len(byID))
	for _, p := range byID {
		out = append(out, *p)
	}
	slices.SortFunc(out, func(a, b dayProduct) int { return cmp.Compare(a.id, b.id) })
	return out
}

// passOf returns how many of the first products make one pass of maxRows.
func passOf(products []dayProduct, maxRows int64) int {
	rows := products[0].rows
	n := 1
	for n < min(len(products), maxPassProducts) && rows+products[n].rows <= maxRows {
		rows += products[n].rows
		n++
	}
	return n
}

// pass builds the files of some products. If they do not fit memory, or if they cannot
// be read, it divides them, so that what is wrong with one is told from the others.
func (d *dayFiles) pass(ctx context.Context, products []dayProduct) {
	if len(products) == 1 && products[0].rows > d.cfg.ClientBytes/heldRowBytes {
		d.stream(ctx, products[0])
		return
	}
	err := d.deal(ctx, products)
	switch {
	case err == nil || d.failed.stop(ctx):
	case len(products) > 1:
		d.pass(ctx, products[:len(products)/2])
		d.pass(ctx, products[len(products)/2:])
	case errors.Is(err, errFull):
		d.stream(ctx, products[0])
	default:
		d.failed.add(fmt.Errorf("read product %d: %w", products[0].id, err))
	}
}

// stream builds the files of a product one after the other, each of a scan of its own.
func (d *dayFiles) stream(ctx context.Context, p dayProduct) {
	for _, k := range p.kinds {
		d.record(ctx, scanJob(d.view, k, p.id, d.day, d.cfg.ClientBytes))
	}
}

// deal reads the rows of products once, and builds their files.
func (d *dayFiles) deal(ctx context.Context, products []dayProduct) error {
	held := newHeldRows(d.day)
	defer held.release()
	var ids []int64
	for _, p := range products {
		ids = append(ids, p.id)
	}
	if err := held.read(d.view.Events(ctx, heldColumns(products), arrivedIn(d.day, ids...)), d.cfg.ClientBytes); err != nil {
		return err
	}
	g, err := groupOf(products, held, d.cfg.ClientBytes)
	if err != nil {
		return err
	}
	if err := lookUp(ctx, d.view, g); err != nil {
		return err
	}
	for at, p := range products {
		for i, k := range p.kinds {
			d.record(ctx, heldJob(held, k, p.id, d.day, g.values[at][i]))
			g.values[at][i] = nil
		}
	}
	return nil
}

// heldColumns returns the columns of events that the files of products are made of.
func heldColumns(products []dayProduct) []string {
	names := append(findColumns(), columns.ProductID)
	for _, p := range products {
		for _, k := range p.kinds {
			names = withColumns(names, k.Columns...)
		}
	}
	return names
}

// groupOf returns the clients of the rows of products, without what is known of them.
// Kinds that keep the same properties share what they intern.
func groupOf(products []dayProduct, held *heldRows, maxBytes int64) (*clientGroup, error) {
	g := &clientGroup{held: held, maxBytes: maxBytes - valuesBytes*int64(len(products)*len(Kinds()))}
	objects := map[bool]*clientObjects{}
	for _, p := range products {
		var values []*clientValues
		for _, k := range p.kinds {
			if objects[k.AllProperties] == nil {
				objects[k.AllProperties] = newClientObjects(k.AllProperties)
				g.objects = append(g.objects, objects[k.AllProperties])
			}
			v := newClientValuesOf(objects[k.AllProperties], everyClient(), maxBytes)
			if err := held.find(k, p.id, v); err != nil {
				return nil, err
			}
			values = append(values, v)
		}
		g.products, g.values = append(g.products, p.id), append(g.values, values)
	}
	return g, g.checkMemory()
}

// record builds a file and records it.
func (d *dayFiles) record(ctx context.Context, job buildJob) {
	if d.failed.stop(ctx) {
		return
	}
	key := fileKey{job.product, job.kind.Code}
	d.failed.add(d.buildAndRecord(ctx, job, d.view, d.want[key]))
}

// failures are what files of a period failed with. The others are built all the same,
// but not while every one fails.
type failures struct {
	errs  []error // the first ones
	all   int
	inRow int
}

// add counts a file; err is nil if it was built.
func (f *failures) add(err error) {
	if err == nil {
		f.inRow = 0
		return
	}
	f.all++
	f.inRow++
	if len(f.errs) < maxFailures {
		f.errs = append(f.errs, err)
	}
}

// stop reports whether to build no more files.
func (f *failures) stop(ctx context.Context) bool { return ctx.Err() != nil || f.inRow >= maxFailures }

// err is what all of them have failed with.
func (f *failures) err(ctx context.Context) error {
	if err := ctx.Err(); err != nil || f.all == 0 {
		return err
	}
	return fmt.Errorf("%d files failed: %w", f.all, errors.Join(f.errs...))
}
